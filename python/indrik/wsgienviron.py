"""The environ of a request of the queue: what is the same for all, and what requests have in
common."""

from __future__ import annotations

import os
import sys
from marshal import loads

from .log import Errors
from .wsgiresponse import FileWrapper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from .worker import Worker
    from .wsgiresponse import Environ

# The keys of an environ whose values are a request's own; the queue has these values in this
# order. The last two need not be there.
OWN = ("REQUEST_METHOD", "RAW_URI", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "CONTENT_LENGTH")

# How many of the rests of environs a slot remembers, and up to which size in bytes.
KNOWN = 64
KNOWN_SIZE = 4096


def constants(worker: Worker) -> Environ:
    """Returns the part of the environ that is the same for all requests."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.errors": Errors(),
        "wsgi.multithread": worker.threaded or worker.is_gevent,
        "wsgi.multiprocess": worker.processes > 1,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
        "SERVER_SOFTWARE": _software(),
    }


def _software() -> str:
    """Returns what a config file has set gunicorn.SERVER_SOFTWARE to, or our own name."""
    compat = sys.modules.get("indrik.compat.gunicorn")
    changed: str = compat.software() if compat is not None else ""
    return changed or os.environ.get("SERVER_SOFTWARE", "indrik")


def recall(known: Dict[bytes, Environ], rest: bytes, common: Environ) -> Environ:
    """Returns an environ that lacks only the values that are a request's own. It is made of
    the rest, which clients send again and again, and remembered in known."""
    # A dict whose table has room for all keys, so that its copies need not grow.
    environ: Environ = dict.fromkeys(OWN)
    environ.update(loads(rest))
    environ.update(common)
    environ["wsgi.input"] = environ["wsgi.early_hints"] = None
    del environ["REMOTE_PORT"], environ["CONTENT_LENGTH"]
    if len(rest) <= KNOWN_SIZE:
        if len(known) >= KNOWN:
            known.clear()
        known[rest] = environ
    return environ
