"""Memory that the front shares with the workers."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Sequence, Tuple

from indrik.protocol import ARENA_BLOCK, PAGE_SIZE


def memory(size: int, content: bytes = b"") -> int:
    """Returns the descriptor of an unlinked file."""
    with tempfile.TemporaryFile() as f:
        f.write(content)
        f.flush()
        f.truncate(max(size, len(content)))
        return os.dup(f.fileno())


class BodyArena:
    """A body arena of a few blocks."""

    def __init__(self, blocks: int) -> None:
        self.fd = memory(PAGE_SIZE + blocks * ARENA_BLOCK)
        self.memory = mmap.mmap(self.fd, 0)
        self.owners = memoryview(self.memory)[:PAGE_SIZE].cast("Q")

    def put(self, id: int, body: bytes, blocks: Sequence[int]) -> Tuple[int, ...]:
        """Puts a body there, and returns the item of the request for it."""
        for i, block in enumerate(blocks):
            part = body[i * ARENA_BLOCK : (i + 1) * ARENA_BLOCK]
            at = PAGE_SIZE + block * ARENA_BLOCK
            self.memory[at : at + len(part)] = part
        self.owners[blocks[0]] = id
        return (len(body), *blocks)

    def close(self) -> None:
        os.close(self.fd)
