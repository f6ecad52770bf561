"""Keeps processes that are forked from the spawner from inheriting its channel to the
master, and the descriptors of other workers and generations.

All of these are closed before any other code runs in the new process: the handler is
the first that was registered, and those that an app registers run after it
(os.register_at_fork). Duplicates that an app made, on purpose or not, are found too.
"""

from __future__ import annotations

import gc
import os
import signal
import stat
from socket import AF_UNIX, SO_TYPE, SOL_SOCKET
from threading import get_ident

try:
    from socket import SO_DOMAIN, SO_PEERCRED, SOCK_SEQPACKET
except ImportError:  # not Linux
    SO_DOMAIN = SO_PEERCRED = SOCK_SEQPACKET = None  # type: ignore[misc, assignment]

from . import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Collection, Iterable, Optional, Set, Tuple

# What the links in /proc/self/fd to memory files of this server begin with.
_MEMORY = "/memfd:indrik-"

_DIRECTORIES = "/proc/self/fd", "/dev/fd"


class Family:
    """The process that forks. leave is called in each process that it has forked, with the
    descriptors that that one keeps, and closes the others that this process knows of."""

    def __init__(self, leave: Callable[[Collection[int]], None]) -> None:
        self._leave = leave
        self._master = os.getppid()
        self._home: Optional[int] = os.getpid()
        # While a process is forked: the thread that forks, and the descriptors that are kept.
        self._keep: Optional[Tuple[int, Collection[int]]] = None
        os.register_at_fork(after_in_child=self._in_child)

    def fork(self, fork: Callable[[], int], keep: Collection[int]) -> int:
        """Forks a process that keeps some descriptors. Returns as os.fork does.

        Neither the collector nor a signal may have code of the app's run in it before
        the rest is closed."""
        collects = gc.isenabled()
        gc.disable()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._keep = get_ident(), keep
        try:
            return fork()
        finally:
            self._keep = None
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if collects:
                gc.enable()

    def _in_child(self) -> None:
        if self._home is None:
            return  # a fork of a process that has left already
        self._home = None
        ident: Optional[int] = None
        keep: Collection[int] = ()
        if self._keep is not None:
            ident, keep = self._keep
        if ident != get_ident():
            keep = ()  # it was not the spawner that forked
        try:
            self._leave(keep)
        finally:
            self._close_duplicates(keep)

    def _close_duplicates(self, keep: Collection[int]) -> None:
        """Closes the duplicates that the app has made. /dev/null takes their place: the app may
        close a number later on, which must not be another descriptor's by then."""
        kept = set(map(_identity, keep))
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in _open_descriptors():
            if fd > 2 and fd not in keep and fd != null and self._is_ours(fd, kept):
                os.dup2(null, fd, False)
        os.close(null)

    def _is_ours(self, fd: int, kept: Set[Tuple[int, int]]) -> bool:
        try:
            st = os.fstat(fd)
            if (st.st_dev, st.st_ino) in kept:
                return False
            if stat.S_ISSOCK(st.st_mode):
                return self._is_masters(fd)
            return stat.S_ISREG(st.st_mode) and os.readlink("/proc/self/fd/%d" % fd).startswith(_MEMORY)
        except OSError:
            return False

    def _is_masters(self, fd: int) -> bool:
        """Reports whether the master made the pair that a socket is one of."""
        if SO_PEERCRED is None:
            return False
        sock = wire.adopt(fd, keep_inheritable=True)
        try:
            if sock.getsockopt(SOL_SOCKET, SO_DOMAIN) != AF_UNIX:
                return False
            if sock.getsockopt(SOL_SOCKET, SO_TYPE) != SOCK_SEQPACKET:
                return False
            return wire.pid_of(sock.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)) == self._master
        finally:
            sock.detach()


def _identity(fd: int) -> Tuple[int, int]:
    st = os.fstat(fd)
    return st.st_dev, st.st_ino


def _open_descriptors() -> Iterable[int]:
    for path in _DIRECTORIES:
        try:
            return sorted(int(name) for name in os.listdir(path))
        except (OSError, ValueError):
            pass
    return range(min(os.sysconf("SC_OPEN_MAX"), 1 << 16))
