"""hello_asgi.py as an app that takes a second to import, as large ones do."""

import time

time.sleep(1)

from hello_asgi import app  # noqa: E402,F401
