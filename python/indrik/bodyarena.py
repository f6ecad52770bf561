"""Bodies of requests that are too large to come with them and small enough for memory: the
front keeps them in its body arena, memory files that workers can read."""

from __future__ import annotations

import os
import sys

from .protocol import ARENA_BLOCK, PAGE_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple


def read(fd: int, request_id: int, item: Tuple[int, ...]) -> Optional[bytes]:
    """Returns the body of a request, None if that request is over. item has the size of the
    body and the numbers of its blocks, in the segment of the arena that fd is of. Takes fd
    over."""
    try:
        left, blocks = item[0], item[1:]
        parts = []
        at = 0
        while at < len(blocks):
            # Blocks behind each other are read in one piece.
            count = 1
            while at + count < len(blocks) and blocks[at + count] == blocks[at] + count:
                count += 1
            size = min(left, count * ARENA_BLOCK)
            parts.append(os.pread(fd, size, PAGE_SIZE + blocks[at] * ARENA_BLOCK))
            left -= size
            at += count
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        # A front that did not wait any longer has used the memory for something else.
        owner = int.from_bytes(os.pread(fd, 8, 8 * blocks[0]), sys.byteorder)
        return body if owner == request_id and len(body) == item[0] else None
    finally:
        os.close(fd)
