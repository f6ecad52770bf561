"""Bodies of requests that are too large to come with them, but not for memory: the front
keeps them in its store, which is docs/protocol.md's word for files in memory."""

import os
import sys

from .wire import STORE_BLOCK, STORE_HEAD


def read(fd, number, where):
    """Returns the body of a request, None if that is over. where is its size and its
    blocks, in the segment of the store that fd is of. Takes fd over."""
    try:
        left, blocks = where[0], where[1:]
        parts = []
        at = 0
        while at < len(blocks):
            # Blocks behind each other are read in one piece.
            count = 1
            while at + count < len(blocks) and blocks[at + count] == blocks[at] + count:
                count += 1
            size = min(left, count * STORE_BLOCK)
            parts.append(os.pread(fd, size, STORE_HEAD + blocks[at] * STORE_BLOCK))
            left -= size
            at += count
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        # The front has used the memory for something else if it waited no longer.
        owner = int.from_bytes(os.pread(fd, 8, 8 * blocks[0]), sys.byteorder)
        return body if owner == number and len(body) == where[0] else None
    finally:
        os.close(fd)
