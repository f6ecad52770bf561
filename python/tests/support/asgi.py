"""Tests of apps of ASGI: a front for their workers."""

from __future__ import annotations

import marshal
import socket
import time
from typing import Any, List, Optional, Sequence, Tuple

from indrik.protocol import (
    EVENT_BUFFER_FREE,
    EVENT_CREDIT,
    EVENT_PING,
    EVENT_REQUEST,
    REPLY_CHUNK,
    REPLY_END,
    REPLY_START,
    SCOREBOARD_FRONT,
    SCOREBOARD_PING,
)

from .front import FakeWorker
from .master import MasterTest
from .messages import LIMIT, Message, read_value, receive, send


class ASGITest(MasterTest):
    APP = ""  # a module of the apps, and the name there
    FRONT = 3  # the number of the front
    kept: List[Message] = []  # messages that came with others

    def up(self, config: Optional[str] = None, **settings: Any) -> FakeWorker:
        settings.setdefault("graceful_timeout", 20)
        worker = self.master.serve(self.APP, config, **settings)
        worker.scoreboard[SCOREBOARD_FRONT] = self.FRONT + 1
        self.last = 0
        return worker

    def take_all(self, worker: FakeWorker, id: int) -> bytes:
        """Returns the body of a response in parts, which the client takes."""
        got: bytes = b""
        while True:
            message = self.reply(worker)
            self.assertEqual((message[0], message[1]), (REPLY_CHUNK if got else REPLY_START, id))
            got += message[-1]
            self.event(worker, EVENT_CREDIT, id, len(message[-1]), None)
            if got.endswith(b"d"):
                self.assertEqual(self.reply(worker), (REPLY_END, id))
                return got

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.leave)

    def leave(self) -> None:
        """What the workers see when master and front are gone."""
        for worker in self.master.workers:
            for slot in worker.slots:
                try:
                    slot.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # the worker has closed its end

    def next_id(self) -> int:
        self.last += 1
        return self.FRONT << 24 | self.last

    def scope(self, path: str = "/", **more: Any) -> Tuple[Any, ...]:
        """Returns a scope in the parts that docs/protocol.md describes."""
        scope = dict(
            {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.4"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"q",
                "root_path": "",
                "headers": [(b"host", b"x")],
                "client": ("127.0.0.1", 1),
                "server": ("127.0.0.1", 2),
                "extensions": {},
            },
            **more,
        )
        parts = [scope.pop(key) for key in ("method", "path", "raw_path", "query_string", "client")]
        return (marshal.dumps(scope, 2), *parts)

    def event(self, worker: FakeWorker, *message: Any, fds: Sequence[int] = ()) -> None:
        send(worker.slots[0], marshal.dumps([message], 2), fds)

    def ask(
        self, worker: FakeWorker, path: str = "/", body: bytes = b"", kind: int = EVENT_REQUEST, **more: Any
    ) -> int:
        id = self.next_id()
        self.event(worker, kind, id, self.scope(path, **more), body)
        return id

    def replies(self, worker: FakeWorker, count: int = 1) -> List[Message]:
        """Returns the next messages, as many as that at least."""
        found: List[Message] = []
        while len(found) < count:
            data, fds = receive(worker.slots[0])
            if not data:
                raise AssertionError("the slot was closed; log:\n" + self.master.read_log())
            while data:
                message, data = read_value(data)
                found.append(worker.with_body(message))
                if type(message[-1]) is int and found[-1] is not message:
                    self.event(worker, EVENT_BUFFER_FREE, message[1], None, None)
            self.fds = fds
        return found

    def reply(self, worker: FakeWorker) -> Message:
        """Returns the next message."""
        if not self.kept:
            self.kept = self.replies(worker)
        return self.kept.pop(0)

    def read(self, worker: FakeWorker, ping: int = 100) -> None:
        """Waits until the worker has read all that was sent."""
        self.event(worker, EVENT_PING, ping, 0, None)
        end = time.monotonic() + LIMIT
        while worker.scoreboard[SCOREBOARD_PING] != ping:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.001)
