"""What Indrik runs inside the app's own interpreter: the spawner, and the
workers that it forks.

The master starts `python -c BOOTSTRAP` with a control socket at descriptor 3
and the source of this package at descriptor 4; nothing is installed and nothing
is written to disk. docs/protocol.md describes every message.

It needs the standard library alone, of CPython 3.8 or later or of PyPy. It
never reads a byte from a client: requests come parsed from the front, and
responses go back to it unframed.

A config file may use from it what follows here, indrik.glogging and indrik.statsd.
"""

import os

#: The version of the server.
__version__ = os.environ.get("SERVER_SOFTWARE", "").partition("/")[2]
version_info = tuple(int(n) if n.isdigit() else n for n in __version__.split("."))
