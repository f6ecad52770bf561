"""The module gunicorn, where it is imported in a process of the server.

SERVER and SERVER_SOFTWARE can be set in a config file: see settings().
"""

from __future__ import annotations

from . import util  # noqa: F401  gunicorn.util is there without an import of its own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

# The version of Gunicorn whose interface this is.
version_info = (27, 0, 1)
__version__ = ".".join(map(str, version_info))
SERVER = _SERVER = "gunicorn"
SERVER_SOFTWARE = _SOFTWARE = "%s/%s" % (SERVER, __version__)


def settings() -> Dict[str, Any]:
    """Returns the settings that a config file has asked for by setting SERVER, the field
    Server of responses, or SERVER_SOFTWARE, which was that field until Gunicorn 20."""
    name = software() if SERVER == _SERVER else SERVER or "off"
    return {"server_header": name} if name else {}


def software() -> str:
    """Returns what SERVER_SOFTWARE was set to, "" if it was not."""
    return "" if SERVER_SOFTWARE == _SOFTWARE else SERVER_SOFTWARE
