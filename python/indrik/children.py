"""The processes that a spawner has forked: workers, and the logger. The workers of other
spawners are told of by the master."""

from __future__ import annotations

import os
import sys

# Taken at import time: workers of kind gevent need a standard library that is
# patched, and this process must not become a greenlet.
from os import wait4, waitpid

from . import hooks, lingering
from .view import OtherWorker
from .worker import BOOT_ERROR, LOAD_ERROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage
    from typing import Any, Callable, Dict, Optional, Set

    from .forks import ForkGuard
    from .poolspawning import Arbiter
    from .view import Server
    from .wire import Control

# The exit codes of a worker for which there is no hook child_exit.
_NOT_STARTED = (BOOT_ERROR, LOAD_ERROR)


def _peak(used: Optional[struct_rusage]) -> int:
    """Returns the most memory that a process had, in KiB (getrusage(2): macOS counts in
    bytes)."""
    if used is None:
        return 0
    return used.ru_maxrss >> 10 if sys.platform == "darwin" else used.ru_maxrss


class Children:
    """Knows which processes run. The workers are in server.WORKERS, where hooks look for
    them. listen directs signals to the spawner again after a hook has run."""

    def __init__(self, server: Server, control: Control, forks: ForkGuard, listen: Callable[[], None]) -> None:
        self.server = server
        self.control = control
        self.forks = forks
        self.listen = listen
        self.loggers: Set[int] = set()  # pids
        self.arbiter: Optional[Arbiter] = None  # what hooks see of a spawner that forks workers of pools
        self._baseline: Optional[Set[Any]] = None  # threads and processes from before the hooks

    def note_baseline(self) -> None:
        """Takes note of the threads and processes that run before the first of the hooks
        on_starting and when_ready."""
        if self._baseline is None:
            self._baseline = lingering.running()

    def hooks_left_something(self) -> bool:
        """Reports whether on_starting or when_ready has left something behind that goes on
        running here: threads, such as a watchdog, or processes. In Gunicorn these live as
        long as the master."""
        if self._baseline is None:
            return False
        ours = {("process", pid) for pid in self.loggers.union(self.server.WORKERS)}
        return bool(lingering.running() - self._baseline - ours)

    def note_others(self, ages: Dict[int, int]) -> None:
        """Takes note of the workers of other spawners, by pid."""
        workers = self.server.WORKERS
        for pid, worker in list(workers.items()):
            if type(worker) is OtherWorker and pid not in ages:
                del workers[pid]
        for pid, age in ages.items():
            if pid not in workers:
                workers[pid] = OtherWorker(self.server, pid, age)

    def forget_others(self) -> None:
        self.server.WORKERS = {pid: w for pid, w in self.server.WORKERS.items() if type(w) is not OtherWorker}

    def reap(self) -> None:
        """Tells the master of each worker that has ended. Other children of
        this process are the app's, and left to it."""
        for pid, worker in list(self.server.WORKERS.items()):
            if type(worker) is OtherWorker:
                continue
            try:
                done, status, used = wait4(pid, os.WNOHANG)
            except ChildProcessError:
                done, status, used = pid, 0, None  # the app waited for it
            if not done:
                continue
            del self.server.WORKERS[pid]
            by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            code = 0 if by else os.WEXITSTATUS(status)
            if code not in _NOT_STARTED:
                self._run_exit_hook(worker)
            self.control.send("exited", age=worker.age, pid=pid, code=code, signal=by, peak=_peak(used))
        for pid in list(self.loggers):
            try:
                if waitpid(pid, os.WNOHANG)[0]:
                    self.loggers.discard(pid)
            except ChildProcessError:
                self.loggers.discard(pid)

    def _run_exit_hook(self, worker: Any) -> None:
        name = "child_exit" if self.arbiter is None else "dirty_worker_exit"
        hook = getattr(worker.cfg, name)
        if hook is hooks.nothing:
            return
        # It may take any time: the master must not take this for a hang.
        self.control.send("busy")
        try:
            with self.forks:
                hook(self.arbiter or self.server, worker)
        except BaseException:
            self.server.log.exception("Exception in %s hook" % name)
        self.control.send("idle")
        self.listen()
