"""Opens log files and finds sockets, also for root, where others may have a say in their
paths: a user who may write to the directory of a log could put a symbolic link there.

The rules are those of the master (docs/security.md): in a directory that only root may
write to everything is taken as it is. In another one root follows no symbolic link that
it has not made, and opens no file that has other names.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Tuple

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_STEP = getattr(os, "O_PATH", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MOST_LINKS = 40
_TRIES = 10


def open_for_appending(path: str) -> int:
    """Returns a descriptor of the file, which is made if there is none. A pipe that
    nobody reads is an error, since open(2) with O_NONBLOCK fails with ENXIO then."""
    if os.geteuid() == 0 and hasattr(os, "O_PATH"):
        fd = _open_as_root(path)
    else:
        fd = os.open(path, _FLAGS | os.O_CREAT, 0o644)
    os.set_blocking(fd, True)
    return fd


@contextmanager
def socket_at(path: str) -> Iterator[str]:
    """Gives a path of the unix socket at path, which leads to the one that was found,
    whatever becomes of the names meanwhile. An abstract one is in no directory."""
    if os.geteuid() != 0 or not hasattr(os, "O_PATH") or _proc() is None or path[:1] in ("", "\0"):
        yield path
        return
    directory, name, _ = _walk(path)
    try:
        trusted = _is_trusted(os.fstat(directory))
        fd = os.open(name, _STEP, dir_fd=directory)
    finally:
        os.close(directory)
    try:
        if not trusted and os.fstat(fd).st_nlink > 1:
            raise _refused(path, "it has other names (hard links)")
        yield "/proc/self/fd/%d" % fd
    finally:
        os.close(fd)


def _open_as_root(path: str) -> int:
    for _ in range(_TRIES):
        directory, name, by_kernel = _walk(path)
        try:
            trusted = _is_trusted(os.fstat(directory))
            fd = os.open(name, _FLAGS | (0 if by_kernel else os.O_NOFOLLOW), dir_fd=directory)
        except FileNotFoundError:
            try:
                return os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=directory)
            except FileExistsError:
                continue  # since a moment ago
        finally:
            os.close(directory)
        if not trusted and os.fstat(fd).st_nlink > 1:
            os.close(fd)
            raise _refused(path, "it has other names (hard links)")
        return fd
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)


def _walk(path: str) -> Tuple[int, str, bool]:
    """Returns a descriptor of the directory that path leads to, the name there, and
    whether that is a link which only the kernel can follow."""
    at = os.open("/", _STEP)
    rest = _names(os.path.abspath(path) if not os.path.isabs(path) else path)
    links = 0
    try:
        while True:
            name, last = rest.pop(0), not rest
            try:
                step = os.open(name, _STEP, dir_fd=at)
            except FileNotFoundError:
                if last:
                    return at, name, False
                raise
            try:
                st = os.fstat(step)
                if not stat.S_ISLNK(st.st_mode):
                    if last:
                        return at, name, False
                    at, step = step, at
                    continue
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                if st.st_dev == _proc():
                    # Its target is no path.
                    if last:
                        return at, name, True
                    os.close(step)
                    step, at = at, os.open(name, _STEP & ~os.O_NOFOLLOW, dir_fd=at)
                    continue
                if not _is_trusted(os.fstat(at)) and (st.st_uid != 0 or st.st_nlink != 1):
                    raise _refused(path, "'%s' is a symbolic link of user %d" % (name, st.st_uid))
                target = os.readlink("", dir_fd=step)
            finally:
                os.close(step)
            rest = _names(target) + rest
            if os.path.isabs(target):
                os.close(at)
                at = -1
                at = os.open("/", _STEP)
    except BaseException:
        if at >= 0:
            os.close(at)
        raise


def _names(path: str) -> List[str]:
    return [name for name in path.split("/") if name not in ("", ".")] or ["."]


def _is_trusted(st: os.stat_result) -> bool:
    """Reports whether nobody but root may write to a directory."""
    return st.st_uid == 0 and not st.st_mode & 0o022


def _proc() -> Optional[int]:
    """Returns the device that /proc is on, None without one."""
    try:
        return os.stat("/proc/self").st_dev
    except OSError:
        return None


def _refused(path: str, why: str) -> OSError:
    return OSError(errno.ELOOP, "root does not open it, since " + why, path)
