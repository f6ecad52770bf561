"""A worker in this process, whose front is the test, with indrik-speed and without."""

from __future__ import annotations

import mmap
import sys
from random import Random
from typing import Any, Dict, Iterable, List, Sequence, Tuple

from indrik import protocol

from .master import SPEED
from .messages import read_value

if SPEED:
    sys.path.insert(0, SPEED)


class Log:
    def __init__(self) -> None:
        self.lines: List[Any] = []

    def exception(self, *args: object) -> None:
        self.lines.append((*args, repr(sys.exc_info()[1])))

    error = exception

    class error_log:
        @staticmethod
        def isEnabledFor(level: int) -> bool:
            return False


class Config(Dict[str, Any]):
    hooks: Dict[str, Any] = {}


class Forks(List[Any]):
    forked = False
    add = list.append

    def returned(self) -> None:
        raise AssertionError("this is no fork")


class Worker:
    """A worker whose front is the test."""

    processes = 2
    threaded = is_gevent = leaving = stopping = False
    timeout = 30
    limit = 3
    shown = own = beat = loop = None
    nr = reached = 0

    def __init__(self, app: Any, messages: Iterable[bytes], speed: Any, **settings: Any) -> None:
        self.wsgi, self.speed = app, speed
        self.messages = list(messages)
        self.sent: List[bytes] = []
        self.forks, self.log, self.cfg = Forks(), Log(), Config(settings)
        self.queue = self
        self.slots = [self]
        self.scoreboard = memoryview(mmap.mmap(-1, 4096 + protocol.SCOREBOARD_PART)).cast("Q")

    def reached_limit(self) -> None:
        self.reached += 1

    # The sockets.

    def recvmsg_into(self, buffers: Any, size: int, flags: int) -> Tuple[int, List[Any], int, None]:
        if not self.messages:
            return 0, [], 0, None
        message = self.messages.pop(0)
        buffers[0][: len(message)] = message
        return len(message), [], 0, None

    def send(self, data: bytes) -> None:
        self.sent.append(bytes(data))

    def sendmsg(self, parts: Sequence[bytes], ancillary: Sequence[Any]) -> None:
        assert not ancillary
        self.sent.append(b"".join(parts))


def text(choose: Random, most: int = 300) -> bytes:
    """A text as the front encodes it."""
    value = choose.choice(["", "/", "GET", "/a b/%C3", "x" * 255, "y" * most, "\u00e9\u00ff", "\x00\x7f\x80"])
    raw = value.encode("latin-1")
    if not value.isascii():
        return b"u" + len(value.encode()).to_bytes(4, "little") + value.encode()
    if len(raw) < 256:
        return choose.choice([b"z", b"Z"]) + bytes([len(raw)]) + raw
    return b"a" + len(raw).to_bytes(4, "little") + raw


def maybe(choose: Random, value: bytes) -> bytes:
    return b"N" if choose.random() < 0.3 else value


def strict_all(data: bytes) -> None:
    """Reads messages as strictly as the front does."""
    while data:
        _, data = read_value(data)


def together(requests: Sequence[bytes]) -> bytes:
    return b"[" + len(requests).to_bytes(4, "little") + b"".join(requests)
