"""Finds indrik-speed, compiled code that does the usual parts of a worker's loop. It is a
package of its own, and whatever it does the Python code beside it does as well.

A worker imports it for itself, after it has taken its user: the spawner may run as root, and
finds modules where the app's are. The interface between the two is that of one version.
"""

from __future__ import annotations

import sys

from . import _version, wsgi
from .loader import BootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .worker import Worker

# The version of this server, before code of the app's can change the environment.
VERSION = _version()


def find(worker: Worker) -> Any:
    """Returns the module for a worker, None if that is not one for it, or the module is not there, or
    of another version. Raises BootError if the setting speed says that it has to be there."""
    mode = worker.cfg.get("speed")
    if mode == "off":
        return None
    problem = _unfit(worker)
    if not problem:
        try:
            import indrik_speed

            version = getattr(indrik_speed, "__version__", None)
            if version == VERSION:
                return indrik_speed
            problem = "indrik-speed is of version %s, and Indrik of version %s" % (version, VERSION)
        except ModuleNotFoundError as e:
            problem = "indrik-speed is not installed" if e.name == "indrik_speed" else _broken(e)
        except Exception as e:
            problem = _broken(e)
    if mode == "on":
        raise BootError("%s, and the setting speed is on" % problem)
    if "indrik_speed" in sys.modules or "cannot be imported" in problem:  # else nobody expects it
        worker.log.warning("%s: it is not used", problem)
    return None


def _unfit(worker: Worker) -> str:
    """Returns why it cannot be used, whatever is installed; empty if it can."""
    if sys.implementation.name != "cpython" or sys.version_info < (3, 11):
        return "indrik-speed is for CPython from 3.11 on"
    if not getattr(sys, "_is_gil_enabled", lambda: True)() or "free-threading" in sys.version:
        return "indrik-speed is not for free-threaded Python"
    if worker.is_gevent:
        return "indrik-speed is not for workers of the kind gevent"
    if wsgi.with_hooks(worker) is not None:
        return "indrik-speed is not for workers with hooks around each request, or with the log level debug"
    return ""


def _broken(error: Exception) -> str:
    return "indrik-speed cannot be imported (%s: %s)" % (type(error).__name__, error)
