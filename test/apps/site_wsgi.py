"""It uses the database while it is loaded: every worker inherits that connection."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from django.db import connection

import site_urls  # noqa: F401 (it notes which process makes a connection)

with connection.cursor() as c:  # while it is loaded: every worker inherits this connection
    c.execute("CREATE TABLE IF NOT EXISTS visits (pid INTEGER)")
