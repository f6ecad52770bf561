"""The title that ps(1) shows for this process."""

from __future__ import annotations

import os

from . import stdlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
# (descriptor of this process's memory, address, length); without a descriptor it is None
_area: Optional[Tuple[Optional[int], int, int]] = None
_text = ""

_PR_SET_NAME = 15  # prctl(2)


def prepare() -> None:
    """Readies this process for set(). It must be called once in each process, while it
    still has its first user if it can: setuid(2) makes /proc/self/mem inaccessible."""
    global _area
    old, _area = _area, None
    if old:
        if old[0] is not None:
            os.close(old[0])
        _area = (None, *old[1:])  # it is where it was in the process that has forked this one
    try:
        with open("/proc/self/stat", "rb") as f:
            # proc(5): the name may hold anything, fields are counted behind it.
            fields = f.read().rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])
        if start and end - start > 1:
            _area = os.open("/proc/self/mem", os.O_RDWR | _CLOEXEC), start, end - start
    except (OSError, ValueError, IndexError):
        pass  # not Linux, or not allowed


def _write_memory(start: int, padded: bytes, name: bytes) -> None:
    """Writes to the memory of this process where there is no file for that."""
    try:
        ctypes = stdlib.load("ctypes")
        ctypes.memmove(start, padded, len(padded))
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name, 0, 0, 0)
    except (ImportError, AttributeError):
        pass


def get() -> str:
    return _text


def set(text: str) -> None:
    """Sets the title. Does nothing where that is not possible."""
    global _text
    _text = text
    if not _area:
        return
    fd, start, size = _area
    data = text.encode("utf-8", "surrogateescape")[: min(size, 4096) - 2]
    # The kernel shows the arguments up to their first NUL only if their last
    # byte is not NUL; otherwise the padding would show too.
    padded = data.ljust(size - 1, b"\0") + b"\1"
    if fd is None:
        _write_memory(start, padded, data[:15])
        return
    try:
        os.pwrite(fd, padded, start)
        with open("/proc/self/comm", "wb", 0) as f:
            f.write(data[:15])
    except OSError:
        pass
