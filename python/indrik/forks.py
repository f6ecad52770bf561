"""Keeps a process that the app, or a hook, forks from a process of the server from being
one of the server's.

It inherits all that its parent has: sockets to the front, memory that the front reads,
handlers of signals, the stack that leads back to the loop of the server. With these it
would go on as a second worker in the place of the first one. So they are taken from it
before the code that forked goes on there; and once that code returns to the server, or
raises, the process ends, without the steps that end its parent.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import threading

from . import hooks, log
from .config import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, List, NoReturn, Optional, Type

_LOG = logging.getLogger("gunicorn.error")


class ForkGuard:
    """Watches over one process of the server. As a context manager it surrounds code
    of the app that might come back in another process, which ends there."""

    def __init__(self, owner: object) -> None:
        self.forked = False  # this is another process than the one that was watched over
        self.paused = False  # for forks of the server's own
        self._owner = owner  # whose methods handle signals
        self._pid = os.getpid()
        self._disarm: List[Callable[[], object]] = []
        # Called before a fork ends, which may have to go on for other code.
        self.wait: Optional[Callable[[], None]] = None
        # With nothing in the buffers that both would write.
        os.register_at_fork(before=self._flush, after_in_child=self._in_child)

    def add(self, disarm: Callable[[], object]) -> None:
        """Has a fork call disarm, which takes from it the things that belong to this process."""
        self._disarm.append(disarm)

    def _flush(self) -> None:
        if not self.paused:
            log.flush()

    def _in_child(self) -> None:
        if self.forked or self.paused:
            return
        self.forked = True
        # As in a process that had nothing to do with the server. The app's own handlers
        # stay.
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            handler = signal.getsignal(number)
            if handler is hooks.nothing or getattr(handler, "__self__", None) is self._owner:
                signal.signal(number, signal.SIG_DFL)
        self._leave_executor()
        for disarm in self._disarm:
            disarm()

    def _leave_executor(self) -> None:
        """Has a thread of an executor end the fork after the call that forked, instead of
        making the calls that wait in its queue: they are the parent's."""
        module, thread = sys.modules.get("concurrent.futures.thread"), threading.current_thread()
        # Not by the table of the module, which a thread that has just begun is not in yet.
        if module is None or getattr(thread, "_target", None) is not getattr(module, "_worker", thread):
            return
        for queue in getattr(thread, "_args", ()):
            if hasattr(queue, "get_nowait"):
                while not queue.empty():
                    queue.get_nowait()
                queue.put(_Last(self, _future_of_call(module._worker)))

    def __enter__(self) -> ForkGuard:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]
    ) -> None:
        if self.forked:
            # A ConfigError says no more than the exception that it was made of.
            self.leave(error.__context__ if isinstance(error, ConfigError) else error)

    def leave(self, error: Optional[BaseException] = None) -> NoReturn:
        """Ends a fork, with the exit code of a program that ends by error."""
        if self.wait is not None:
            self.wait()
        code: Any = 0
        if isinstance(error, SystemExit):
            code = error.code
            if code is None:
                code = 0
            elif not isinstance(code, int):
                print(code, file=sys.stderr)
                code = 1
        elif error is not None:
            code = 1
            _LOG.error("Exception in a process that was forked from process %s", self._pid, exc_info=error)
        log.flush()
        os._exit(code & 0xFF)

    def returned(self, *args: object) -> NoReturn:
        """Ends a fork that calls a function of the server, since its part is done. To be put in
        the place of that function."""
        self.leave(next(filter(None, map(_error, args)), None))


class _Last:
    """Stands for a call in the queue of an executor, after the one that forked, whose
    future knows how that ended."""

    def __init__(self, guard: ForkGuard, future: object) -> None:
        self.run = functools.partial(guard.returned, future)


def _future_of_call(worker: Any) -> object:
    """Returns the future of the call that this thread of an executor makes. Who made that
    call may not have asked yet to be told of its end, so nothing but the stack leads to it.
    worker is what such threads run."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_back.f_code is not worker.__code__:
        frame = frame.f_back
    return getattr(frame.f_locals.get("self"), "future", None)


def _error(value: Any) -> Optional[BaseException]:
    """Returns a value that is an exception, or the exception of a future."""
    if hasattr(value, "set_exception"):
        value = value.exception() if value.done() and not value.cancelled() else None
    return value if isinstance(value, BaseException) else None
