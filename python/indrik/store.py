"""Bodies of requests that are too large to come with them, but not for memory: the front
keeps them in its store, which is docs/protocol.md's word for a file in memory."""

import mmap
import os
import sys

from .wire import STORE_BLOCK, STORE_HEAD

# The store that was read last, and its memory: there is one as long as the front lives.
_last = None, None


def read(fd, number, where):
    """Returns the body of a request, None if that is over. where is its size and its
    blocks, in the store that fd is of. Takes fd over."""
    try:
        memory = _map(fd)

        def part(at, size):
            return os.pread(fd, size, at) if memory is None else memory[at : at + size]

        left, first = where[0], where[1]
        parts = []
        for block in where[1:]:
            parts.append(part(STORE_HEAD + block * STORE_BLOCK, min(left, STORE_BLOCK)))
            left -= STORE_BLOCK
        body = b"".join(parts)
        # The front has used the memory for something else if it waited no longer.
        return body if int.from_bytes(part(8 * first, 8), sys.byteorder) == number else None
    finally:
        os.close(fd)


def _map(fd):
    """Returns the memory of a store, None if it cannot be mapped."""
    global _last
    info = os.fstat(fd)
    key = info.st_dev, info.st_ino
    known, memory = _last
    if known != key:
        try:
            memory = memoryview(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
        except (OSError, ValueError):
            return None  # the process is short of address space
        _last = key, memory
    return memory
