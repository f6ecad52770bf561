"""hello_asgi.py as an app that takes two seconds to import, as large ones do."""

import time

time.sleep(2)

from hello_asgi import app  # noqa: E402,F401
