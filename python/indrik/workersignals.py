"""The signals of a worker: which end it, and how.

TERM lets the requests that it has taken finish. INT and QUIT end it at once, ABRT after the
hook worker_abort.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys

from . import hooks, log, oslevel, threads, title
from .protocol import SCOREBOARD_END, SCOREBOARD_PROMOTED, SCOREBOARD_RELOADED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Callable, Dict, Optional, Tuple

    from .worker import Worker


class WorkerSignals:
    """Handles the signals of one worker."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.first = 0  # the signal that told the worker to end
        self._taking_leave = False
        self._told = False  # a worker class of one's own has had its handle_exit called
        self.wake: Tuple[int, ...] = ()  # a pipe that gets a byte for each signal

    @property
    def should_exit(self) -> bool:
        """Uvicorn's word: this worker takes no more requests, or the server ends. Responses
        that have no end of their own look at it by way of the handler of SIGTERM: those of
        sse-starlette, twice a second."""
        worker = self.worker
        return worker.stopping or worker.leaving or bool(worker.scoreboard[SCOREBOARD_END])

    def listen(self, dump: int) -> None:
        """Directs signals here. dump is the descriptor for the stacks of all threads."""
        handlers: Dict[str, Any] = {
            "SIGTERM": self._on_term,
            "SIGINT": self._on_quit,
            "SIGQUIT": self._on_quit,
            "SIGABRT": self._on_abort,
            "SIGUSR1": self._on_usr1,
            "SIGWINCH": self._on_winch,
            # Meant for the master. With Gunicorn they end a worker, so that
            # one `pkill -HUP` ends them all.
            "SIGHUP": hooks.nothing,
            "SIGUSR2": hooks.nothing,
            "SIGTTIN": hooks.nothing,
            "SIGTTOU": hooks.nothing,
            "SIGCHLD": signal.SIG_DFL,
        }
        for name, handler in handlers.items():
            signal.signal(getattr(signal, name), handler)
        if self.worker.threaded:
            signal.signal(threads.NUDGE, hooks.nothing)
        if self.worker.threaded or self.worker.is_gevent:
            self.wake = os.pipe()
            for fd in self.wake:
                os.set_blocking(fd, False)
            self.listen_for_wake()
        if not faulthandler.is_enabled():  # it may be, on standard error: PYTHONFAULTHANDLER
            faulthandler.enable(file=dump, all_threads=True)
            signal.signal(signal.SIGABRT, handlers["SIGABRT"])  # faulthandler has taken it
        oslevel.write_stacks_to(dump)

    def listen_for_wake(self) -> None:
        """Has signals write to the pipe wake, if there is one."""
        if self.wake:
            signal.set_wakeup_fd(self.wake[1], warn_on_full_buffer=False)

    def _on_term(self, number: int, frame: Optional[FrameType]) -> None:
        # The master sends it again and again until this process is gone.
        if self.worker.own is None or self._told:
            self.term()
        else:
            self._told = True
            self.worker.own.handle_exit(number, frame)

    def _on_quit(self, number: int, frame: Optional[FrameType]) -> None:
        if self.worker.own is None or self.worker.leaving or self._taking_leave:
            self.quit()
        else:
            self.worker.own.handle_quit(number, frame)

    def _on_abort(self, number: int, frame: Optional[FrameType]) -> None:
        if self.worker.own is None or self.worker.aborted or self._taking_leave:
            self.abort()
        else:
            self.worker.own.handle_abort(number, frame)

    def term(self) -> None:
        """Lets the worker end after the requests that it has."""
        worker = self.worker
        new = not worker.stopping
        self.first = self.first or signal.SIGTERM
        worker.stop()
        if new and worker.scoreboard[SCOREBOARD_RELOADED]:
            worker.cfg.worker_int(worker.shown)  # as Gunicorn does when code has changed

    def quit(self) -> None:
        """Ends the worker at once."""
        worker = self.worker
        if worker.leaving or self._taking_leave:
            return
        self.first = signal.SIGQUIT
        worker.alive = False
        worker.leaving = True
        if worker.asgi is not None and worker.booted:
            worker.cfg.worker_int(worker.shown)
            worker.asgi.call(worker.asgi.quit)
        else:
            self._break_off(worker.cfg.worker_int, 0)

    def abort(self) -> None:
        """Ends the worker at once, after the hook worker_abort."""
        worker = self.worker
        if self._taking_leave:
            leave_now(1)  # the hook worker_exit, or a thread of the app, hangs
        if worker.aborted:
            return
        worker.alive = False
        worker.leaving = True
        worker.aborted = True
        self._break_off(worker.cfg.worker_abort, 1)

    def _break_off(self, hook: Callable[[Any], object], code: int) -> None:
        """Ends the process at once, whatever it does."""
        worker = self.worker
        if worker.is_gevent and worker.booted:
            from . import gevent_worker

            gevent_worker.here_or_beside_the_hub(self._leave_with, hook, code)
        elif (worker.threaded or worker.asgi is not None) and worker.booted:
            self._leave_with(hook, code)
        else:
            hook(worker.shown)
            sys.exit(code)

    def _leave_with(self, hook: Callable[[Any], object], code: int) -> None:
        hook(self.worker.shown)
        self.take_leave()
        leave_now(code)

    def _on_usr1(self, number: int, frame: Optional[FrameType]) -> None:
        if self.worker.own is not None:
            self.worker.own.handle_usr1(number, frame)
        else:
            self.worker.log.reopen_files()

    def _on_winch(self, number: int, frame: Optional[FrameType]) -> None:
        if not self.worker.scoreboard[SCOREBOARD_PROMOTED]:
            self.worker.log.debug("worker: SIGWINCH ignored.")
            return
        name = title.get()
        if name.endswith(".2]"):
            title.set(name[:-3] + "]")

    def take_leave(self) -> None:
        """Runs the hook worker_exit."""
        self._taking_leave = True
        worker = self.worker
        worker.log.info("Worker exiting (pid: %s)", worker.pid)
        try:
            worker.cfg.worker_exit(worker.server, worker.shown)
        except Exception as e:
            worker.log.warning("Exception during worker exit:\n%s", log.app_traceback(e))


def leave_now(code: int) -> None:
    """Ends the process although threads may run the app; the interpreter
    would wait for some of them."""
    log.flush()
    os._exit(code)
