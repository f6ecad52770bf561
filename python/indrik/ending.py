"""The end of a worker whose requests are done and whose app had its shutdown.

The interpreter waits for threads that are no daemons, and for processes of
multiprocessing, for as long as they like. So a clock runs beside that: what requests
have started has the time that requests have, all else a moment.
"""

import os
import sys
import threading
import time

from . import log

# What the app had before the first request has so many seconds: such threads and
# processes are meant to run for ever, and to be ended by what is run at the end.
MOMENT = 2.0

# The same where the worker is to end at once.
QUICK = 0.5

# How long a worker has at least when the server ends (quitGrace of the master), in
# seconds, unless graceful_timeout is less.
LEAST = 2.0

# How often the threads are looked at, in seconds.
_EVERY = 0.05


def bound(worker, code):
    """Has this process end with code even if what the app has left running does not. To be
    called before sys.exit."""
    import _thread  # only here: where gevent has patched it, it has to be that one

    _thread.start_new_thread(_watch, (worker, code, time.monotonic()))


def _watch(worker, code, now):
    moment = QUICK if worker.leaving else MOMENT
    end = now + moment
    until = max(end, worker.until or 0)
    while True:
        limit = end
        if _of_requests(worker.early):
            end, limit = now + moment, until
        if now >= limit:
            break
        time.sleep(min(_EVERY, limit - now))
        now = time.monotonic()
    try:
        worker.log.warning("Worker (pid:%s) ends, and does not wait for %s", worker.pid, ", ".join(_left()) or "its end")
    except Exception:
        pass  # the interpreter has gone too far
    log.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _threads():
    return [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]


def _of_requests(early):
    return [t for t in _threads() if t not in early]


def _left():
    """Names what runs yet."""
    names = ["thread %s" % t.name for t in _threads()]
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        names += ["process %s (pid:%s)" % (p.name, p.pid) for p in multiprocessing.active_children()]
    return names
