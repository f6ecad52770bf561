"""The front's side of the queue and of the workers."""

from __future__ import annotations

import marshal
import mmap
import os
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from indrik.protocol import (
    JOURNAL_SIZE,
    MAX_REVOKED,
    REPLY_CHUNK,
    RESPONSE_BUFFER_SIZE,
    SCOREBOARD_ARENA,
    SCOREBOARD_BUFFER,
    SCOREBOARD_CLAIMED,
    SCOREBOARD_FIRST,
    SCOREBOARD_JOURNALED,
    SCOREBOARD_PART,
    SCOREBOARD_REVOCATION_RING,
    SCOREBOARD_REVOCATIONS,
    SCOREBOARD_STRIDE,
)

from .memory import memory
from .messages import Environ, Message, claim, pair, parts, send


class Generation:
    """A queue, and the workers that read it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.queue, self.workers_end = pair()
        self.workers: List[FakeWorker] = []

    def revoke(self, id: int) -> None:
        for worker in self.workers:
            worker.revoke(id)

    def put(self, id: int, environ: Optional[Environ], body: Any = b"", fds: Sequence[int] = ()) -> None:
        self.put_together([(id, environ, body)], fds)

    def put_together(self, requests: Iterable[Tuple[int, Optional[Environ], Any]], fds: Sequence[int] = ()) -> None:
        """Puts several requests, each an id, an environ and a body, in one message."""
        items = [(id, claim(id), *parts(environ), body) for id, environ, body in requests]
        send(self.queue, marshal.dumps(items, 2), fds)

    def close(self) -> None:
        self.queue.close()
        self.workers_end.close()


class FakeWorker:
    """The master's and the front's view of a worker."""

    def __init__(self, age: int, slots: int) -> None:
        self.age = age
        self.pid = 0  # once it runs
        self.answer: Dict[str, Any] = {}  # to the message spawn
        self.gate = ""  # the path of a pipe that its app waits at
        self.speed = ""  # the version of indrik-speed that it uses
        self.silent = False  # its end of the channel is closed
        pairs = [pair() for _ in range(slots)]
        self.slots = [p[0] for p in pairs]
        self.theirs = [p[1] for p in pairs]
        self.channel, self.channel_end = pair()
        self.inodes = [os.fstat(s.fileno()).st_ino for s in [*self.theirs, self.channel_end]]
        self.scoreboard_fd = memory(4096 * (1 + slots // 50) + slots * SCOREBOARD_PART)
        self.memory = mmap.mmap(self.scoreboard_fd, 0)
        self.scoreboard = memoryview(self.memory).cast("Q")
        self.dump_fd = memory(0)

    def revoke(self, id: int) -> None:
        n = self.scoreboard[SCOREBOARD_REVOCATIONS]
        self.scoreboard[SCOREBOARD_REVOCATION_RING + n % MAX_REVOKED] = id
        self.scoreboard[SCOREBOARD_REVOCATIONS] = n + 1

    def word(self, index: int, word: int) -> int:
        """Returns where on the scoreboard a word of a slot is."""
        return SCOREBOARD_FIRST + SCOREBOARD_STRIDE * index + word

    def claimed(self, index: int = 0) -> int:
        return self.scoreboard[self.word(index, SCOREBOARD_CLAIMED)]

    def journal(self, index: int = 0) -> bytes:
        """Returns what it has answered and not sent."""
        start = len(self.memory) - (index + 1) * SCOREBOARD_PART
        return self.memory[start : start + self.scoreboard[self.word(index, SCOREBOARD_JOURNALED)]]

    def take_buffer(self, size: int, index: int = 0) -> bytes:
        """Returns what is in its response buffer, and frees that."""
        assert self.scoreboard[self.word(index, SCOREBOARD_BUFFER)] > 0
        start = len(self.memory) - (index + 1) * SCOREBOARD_PART + JOURNAL_SIZE
        data = self.memory[start : start + size]
        self.scoreboard[self.word(index, SCOREBOARD_BUFFER)] = 0
        return data

    def take_place(self, id: int, place: Tuple[int, int], index: int = 0) -> bytes:
        """Returns a body that is in its response arena, and frees that if the body is the last there."""
        at, size = place
        start = len(self.memory) - (index + 1) * SCOREBOARD_PART + JOURNAL_SIZE + RESPONSE_BUFFER_SIZE + at
        data = self.memory[start : start + size]
        word = self.word(index, SCOREBOARD_ARENA)
        if self.scoreboard[word] == id << 32 | at + size:
            self.scoreboard[word] = 0
        return data

    def with_body(self, message: Message, index: int = 0) -> Message:
        """Returns a message with its body, if that is in the response buffer or in the response arena."""
        if message[0] <= REPLY_CHUNK and type(message[-1]) is int:
            return (*message[:-1], self.take_buffer(message[-1], index))
        if message[0] <= REPLY_CHUNK and type(message[-1]) is tuple:
            return (*message[:-1], self.take_place(message[1], message[-1], index))
        return message

    def dump(self) -> str:
        return os.pread(self.dump_fd, 1 << 20, 0).decode()

    def close(self) -> None:
        for sock in self.slots + self.theirs + [self.channel, self.channel_end]:
            sock.close()
        os.close(self.scoreboard_fd)
        os.close(self.dump_fd)
