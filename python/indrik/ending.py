"""The end of a worker whose requests are done and whose app had its shutdown.

The interpreter waits for threads that are no daemons, and for processes of
multiprocessing, for as long as they like. So a clock runs beside that: threads and
processes that requests have started have the time of requests (graceful_timeout), as have
functions that run at the exit (atexit); all others have a moment.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from . import log
from .protocol import SCOREBOARD_END

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Collection, List

    from .worker import Worker

# Threads and processes from before the first request have so many seconds: they are meant
# to run for ever, and to be ended by a function that runs at the exit.
MOMENT = 2.0

# The same where the worker is to end at once, and the time for functions that run at the
# exit then. The master ends such a worker after two seconds.
QUICK = 0.5
QUICK_EXIT = 1.5

# How long a worker has at least when the server ends (quitGrace of the master), in
# seconds, unless graceful_timeout is less.
LEAST = 2.0

# How often the threads are looked at, in seconds.
_EVERY = 0.05

# Where the main thread is while the interpreter waits: the functions and files of
# the outermost frame.
_WAITS = {("_shutdown", "threading.py"), ("_python_exit", "thread.py"), ("_exit_function", "util.py")}


def end_of_grace(worker: Worker) -> float:
    """Returns when graceful_timeout is about to end for a worker that is told to end now, by
    time.monotonic. The master ends it when it is over."""
    now = time.monotonic()
    grace = left = worker.cfg.get("graceful_timeout") or 0
    if worker.scoreboard[SCOREBOARD_END]:
        # The server ends, and has waited for its requests already.
        left = worker.scoreboard[SCOREBOARD_END] / 1000 - now
    return now + max(left, min(grace, LEAST)) - min(0.5, grace / 10)


def bound(worker: Worker, code: Any) -> None:
    """Ends this process with code even if threads or processes of the app go on. To be called
    before sys.exit, by the main thread."""
    import _thread  # only here: where gevent has patched it, it has to be that one

    main, begun = _thread.get_ident(), _thread.allocate_lock()

    def watch() -> None:
        begun.release()
        _watch(worker, code, main)

    begun.acquire()
    _thread.start_new_thread(watch, ())
    # CPython 3.10 may crash if it ends while a thread is about to begin. Later ones do not, and
    # may hang if it ends while one is in a callback of the app's. A greenlet is no thread.
    if sys.version_info[:2] == (3, 10) and not worker.is_gevent:
        begun.acquire(True, QUICK)


def _watch(worker: Worker, code: Any, main: int) -> None:
    now = time.monotonic()
    moment = QUICK if worker.leaving else MOMENT
    if worker.leaving:
        until = now + QUICK_EXIT
    elif worker.until is not None:
        until = worker.until
    else:
        until = now + (worker.cfg.get("graceful_timeout") or 0)
    end = now + moment
    until = max(end, until)
    while True:
        limit = end
        # Before it was ready there were no requests.
        if not _waits(main) or (worker.booted and _of_requests(worker.early)):
            end, limit = now + moment, until
        if now >= limit:
            break
        time.sleep(min(_EVERY, limit - now))
        now = time.monotonic()
    try:
        worker.log.warning(
            "Worker (pid:%s) ends, and does not wait for %s", worker.pid, ", ".join(_left()) or "what runs at its exit"
        )
    except Exception:
        pass  # the interpreter has gone too far
    log.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _waits(main: int) -> bool:
    """Reports whether the main thread does nothing but wait for others."""
    frame = sys._current_frames().get(main)
    if frame is None or frame is sys._getframe():
        return True  # it has ended; or this is a greenlet in it, which it waits for
    while frame.f_back is not None:
        frame = frame.f_back
    return (frame.f_code.co_name, os.path.basename(frame.f_code.co_filename)) in _WAITS


def _threads() -> List[threading.Thread]:
    return [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]


def _of_requests(early: Collection[threading.Thread]) -> List[threading.Thread]:
    return [t for t in _threads() if t not in early]


def _left() -> List[str]:
    """Returns the names of threads and processes that still run."""
    names = ["thread %s" % t.name for t in _threads()]
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        names += ["process %s (pid:%s)" % (p.name, p.pid) for p in multiprocessing.active_children()]
    return names
