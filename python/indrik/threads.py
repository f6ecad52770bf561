"""The slots of a worker in threads.

The main thread runs no request: it waits for signals, and for the slots to
end. When the worker is to end, a slot that waits for a request has to be woken
to see it, which takes a signal to its thread.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading

from . import wsgi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, List, Sequence, Set

    from .glogging import Logger
    from .worker import Worker

# Sent to threads, and handled by doing nothing.
NUDGE = signal.SIGURG

# A nudge can come just before the system call that it is to interrupt, and is
# repeated after so many milliseconds.
_AGAIN = 50


def run(worker: Worker, wake: Sequence[int]) -> None:
    """Serves until all slots have ended. Handlers of signals must write to the
    pipe wake."""
    count = len(worker.slots)
    lock = threading.Lock()
    running: Set[int] = set()
    ended: List[int] = []
    failures: List[BaseException] = []

    def slot(index: int) -> None:
        me = threading.get_ident()
        with lock:
            running.add(me)
        try:
            worker.serve_slot(index)
        except BaseException as e:
            failures.append(e)
        finally:
            # Under the lock: a thread that is gone must not be signalled.
            with lock:
                running.discard(me)
            ended.append(index)
            os.write(wake[1], b"\0")

    # No daemons: the threads that an app starts in a request would inherit that, and be
    # cut off at the end.
    for index in range(count):
        threading.Thread(target=slot, args=(index,), name="slot-%d" % index).start()

    beat = worker.beat
    poll = select.poll()
    poll.register(wake[0], select.POLLIN)
    while len(ended) < count:
        poll.poll(_AGAIN if worker.stopping else None if beat is None else beat.every * 1000)
        try:
            os.read(wake[0], 4096)
        except BlockingIOError:
            pass
        if beat is not None and not worker.stopping:
            beat()
        if (failures or worker.orphaned) and not worker.stopping:
            worker.stop()  # the other slots finish what they have
        if worker.stopping:
            with lock:
                _nudge(running)
    if failures:
        raise failures[0]


def tell_of_gil(log: Logger) -> None:
    """Tells the operator of a free-threaded Python whether the GIL is off: an extension
    module can turn it on for all, when it is imported."""
    if "free-threading" not in sys.version:
        return
    if sys._is_gil_enabled():  # type: ignore[attr-defined]
        log.warning(
            "The GIL is on, by PYTHON_GIL or for an extension module of the app: the threads of this worker take turns"
        )
    else:
        log.info("The GIL is off: the threads of this worker run in parallel")


def _nudge(running: Iterable[int]) -> None:
    """Wakes the threads that wait for a request. The others are left alone:
    a signal would interrupt the system calls of the app's libraries."""
    frames = sys._current_frames()
    for ident in running:
        frame = frames.get(ident)
        if frame is not None and frame.f_code in wsgi.WAITING:
            signal.pthread_kill(ident, NUDGE)
