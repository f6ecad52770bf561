"""A request of HTTP and its response, as ASGI has them:
https://asgi.readthedocs.io/en/latest/specs/www.html and .../extensions.html."""

from __future__ import annotations

import os
import stat
from asyncio import sleep
from collections import deque
from marshal import dumps

from . import asgivalues as values
from .conversation import GONE, Conversation
from .protocol import (
    BODY_WINDOW,
    EVENT_BODY,
    EVENT_CREDIT,
    EVENT_GONE,
    MAX_MESSAGE,
    REPLY_CHUNK,
    REPLY_CREDIT,
    REPLY_END,
    REPLY_FILE,
    REPLY_HINTS,
    REPLY_PART,
    REPLY_RESPONSE,
    REPLY_START,
    REPLY_TRAILERS,
    RESPONSE_BUFFER_SIZE,
    RESPONSE_WINDOW,
)
from .wire import FORMAT, MAX_COPIED, MAX_READ, MIN_PLACED, ClientGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Coroutine, Deque, List, Optional, Tuple

    from .conversation import Message

    ByteHeaders = List[Tuple[bytes, bytes]]

# How far the response is.
NEW, HEAD, BODY, TRAILING, DONE = range(5)


class HTTPConversation(Conversation):
    phase = NEW
    status: Optional[int] = None
    headers: Optional[ByteHeaders] = None
    trailing = False  # the app has announced trailers
    trailers: Tuple[Tuple[bytes, bytes], ...] = ()
    sent: Optional[int] = None  # bytes of the response's body, once that has begun; for hooks
    more = False  # parts of the request's body are to come
    parts: Optional[Deque[bytes]] = None  # of the request's body: they came, and the app has not got them
    credit = 0  # bytes of the request's body that the front may send
    sending = False  # a task of the app sends, or waits until it can

    # Receiving

    async def receive(self) -> Message:
        body = self.body
        if body is not None and not self.gone and self.phase != DONE:
            self.body = None
            return {"type": "http.request", "body": body, "more_body": self.more}
        return await self._receive()

    async def _receive(self) -> Message:
        while not self.gone and self.phase != DONE:
            if self.parts:
                body = self.parts.popleft() if len(self.parts) == 1 else b"".join(self.parts)
                self.parts.clear()
                return {"type": "http.request", "body": body, "more_body": self.more}
            if self.more:
                self._give_credit()
            await self.wait_reader()
        return {"type": "http.disconnect"}

    def _give_credit(self) -> None:
        if self.credit <= BODY_WINDOW // 2:
            self.server.put(dumps((REPLY_CREDIT, self.id, BODY_WINDOW - self.credit), FORMAT))
            self.credit = BODY_WINDOW

    def on_body(self, data: bytes, more: int) -> None:
        self.credit -= len(data)
        self.more = bool(more)
        if self.parts is None:
            self.parts = deque()
        self.parts.append(data)
        self.wake_readers()

    EVENTS = {EVENT_BODY: on_body, EVENT_GONE: Conversation.on_gone, EVENT_CREDIT: Conversation.on_credit}

    # Sending

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if self.gone:
            await self._discard(kind, message)
            return
        phase = self.phase
        if phase == NEW and kind == "http.response.start":
            status = message["status"]
            if type(status) is not int or not 100 <= status <= 999:
                status = values.status(status)
            self.status = status
            self.headers = values.headers(message.get("headers", ()))
            self.trailing = message.get("trailers", False)
            self.phase = HEAD
            return
        if (
            phase == HEAD
            and kind == "http.response.body"
            and not self.trailing
            and not message.get("more_body")
            and not self.sending
        ):
            body = message.get("body", b"")
            if type(body) is not bytes:
                body = values.body(body)
            size = len(body)
            if size <= MAX_COPIED:
                if size >= MIN_PLACED:
                    body = self.server.arena.place(self.id, body)
                data = dumps((REPLY_RESPONSE, self.id, self.status, self.headers, body), FORMAT)
                if len(data) <= MAX_MESSAGE:
                    self.phase = DONE
                    self.sent = size
                    # This is finish() and put(), in the usual case.
                    server = self.server
                    if server.corked and not self.readers and server.size + len(data) <= MAX_MESSAGE:
                        self.done = True
                        server.out.append(data)
                        server.size += len(data)
                    else:
                        self.finish(data)
                    return
        await self._send(kind, message)

    async def _send(self, kind: str, message: Message) -> None:
        try:
            await self._transmit(kind, message)
        except ClientGone:
            await self._discard(kind, message)

    async def _discard(self, kind: str, message: Message) -> None:
        """Takes a message that reaches nobody, since the client has gone. The app need not know
        that, unless asgi_send_after_disconnect says so."""
        if self.server.strict:
            raise ClientGone(GONE)
        # An app that sends on and on must not hold up other tasks, one of which may be
        # there to end it.
        await sleep(0)
        if kind == "http.response.start":
            self.status = message["status"]
            self.trailing = message.get("trailers", False)
        elif not self.done and _is_last(kind, message, self.trailing):
            self.fail()

    async def _transmit(self, kind: str, message: Message) -> None:
        # Messages that tasks of an app send at the same time go one after the other.
        while self.sending:
            await self.wait_writer()
        if self.gone:
            raise ClientGone(GONE)
        phase = self.phase
        if kind == "http.response.body" and phase in (HEAD, BODY):
            await self._alone(self._send_body(values.body(message.get("body", b"")), message.get("more_body", False)))
        elif kind == "http.response.pathsend" and phase == HEAD:
            await self._send_path(message["path"])
        elif kind == "http.response.zerocopysend" and phase in (HEAD, BODY):
            await self._alone(self._send_file(message))
        elif kind == "http.response.early_hint" and phase != DONE:
            if phase <= HEAD:
                links = values.headers([(b"link", link) for link in message["links"]])
                self.server.put(values.head(dumps((REPLY_HINTS, self.id, links), FORMAT)))
        elif kind == "http.response.trailers" and phase == TRAILING:
            trailers = self.trailers + tuple(values.headers(message.get("headers", ())))
            data = values.head(dumps((REPLY_TRAILERS, self.id, trailers), FORMAT))
            self.trailers = trailers
            if not message.get("more_trailers"):
                self.finish(data)
        elif phase != DONE:  # after that the specification has it ignored
            raise RuntimeError("%r is not expected %s" % (kind, _PHASES[phase]))

    async def _alone(self, sending: Coroutine[Any, Any, None]) -> None:
        self.sending = True
        try:
            await sending
        finally:
            self.sending = False
            if self.writers:
                self.wake_writers()

    async def _send_body(self, body: bytes, more: bool) -> None:
        at = 0
        view: memoryview[int] = memoryview(body)
        if self.phase == HEAD:
            head = (self.id, self.status, self.headers)
            if not more and not self.trailing and len(body) <= RESPONSE_BUFFER_SIZE:
                data = await self._by_buffer((REPLY_RESPONSE,) + head, view)
                if data is not None:
                    self.sent = len(body)
                    self.finish(data)
                    return
            await self.await_window()
            part = view[:RESPONSE_WINDOW]
            data = await self._by_buffer((REPLY_START,) + head, part)
            if data is None:
                part = view[:MAX_COPIED]  # more only if the head leaves no room for any
                data = dumps((REPLY_START,) + head + (part,), FORMAT)
            if len(data) <= MAX_MESSAGE:
                self._start(data, len(part))
                at = len(part)
            else:
                self._start_alone()
        try:
            while at < len(view):
                await self.await_window()
                part = view[at : at + RESPONSE_WINDOW]
                data = await self._by_buffer((REPLY_CHUNK, self.id), part)
                if data is None:
                    data = dumps((REPLY_CHUNK, self.id, part), FORMAT)
                self.window -= len(part)
                self.sent = (self.sent or 0) + len(part)
                self.server.put(data)
                at += len(part)
        except BaseException:
            if at:
                self.cancelled()  # nothing else can follow half a part
            raise
        if not more:
            self._end()
        elif self.window <= 0:
            await self.await_window()

    def _start(self, data: bytes, size: int) -> None:
        """Sends the head, with size bytes of the body in the same message."""
        self.phase = BODY
        self.sent = size
        self.window -= size
        self.server.put(data)

    def _start_alone(self) -> None:
        """Sends the head alone."""
        self._start(values.head(dumps((REPLY_START, self.id, self.status, self.headers, b""), FORMAT)), 0)

    async def _by_buffer(self, head: Tuple[Any, ...], part: memoryview[int]) -> Optional[bytes]:
        """Puts a part of the body into the response buffer, and returns the message for it; None
        if the part is too small for that, or its head too large."""
        size = len(part)
        if size <= MAX_COPIED:
            return None
        data = dumps(head + (size,), FORMAT)
        if len(data) > MAX_MESSAGE:
            return None
        await self.await_buffer()
        self.server.response_buffer.put(self.id, part)
        return data

    def _end(self) -> None:
        if self.trailing:
            self.phase = TRAILING
        else:
            self.finish(dumps((REPLY_END, self.id), FORMAT))

    def finish(self, data: bytes) -> None:
        self.phase = DONE
        super().finish(data)

    async def _send_path(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                raise ValueError("%r is not a regular file" % (path,))
            self._send_all(fd, 0, -1, info.st_size)
        finally:
            os.close(fd)

    def _send_all(self, fd: int, offset: int, count: int, rest: int) -> None:
        """Sends a response whose body is a part of a file, which has rest bytes from offset on."""
        if self.trailing:
            self._start_alone()
            self._send_part(fd, offset, count)
            self._end()
            return
        size = rest if count < 0 else min(count, rest)
        place = self.server.arena.read(self.id, fd, offset, size) if 0 < size <= MAX_READ else None
        if place is not None:
            data = values.head(dumps((REPLY_RESPONSE, self.id, self.status, self.headers, place), FORMAT))
            self.sent = size
            self.finish(data)
            return
        data = values.head(dumps((REPLY_FILE, self.id, self.status, self.headers, offset, count), FORMAT))
        self.phase = DONE
        self.done = True
        self.sent = 0
        self.server.put_file(data, fd)
        self.wake_readers()

    def _send_part(self, fd: int, offset: int, count: int) -> None:
        rest = max(0, os.fstat(fd).st_size - offset)
        self.window -= rest if count < 0 else min(count, rest)
        self.server.put_file(dumps((REPLY_PART, self.id, offset, count), FORMAT), fd)

    async def _send_file(self, message: Message) -> None:
        file = message["file"]
        fd = file if isinstance(file, int) else file.fileno()
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise ValueError("%r is not a regular file" % (file,))
        offset, count = message.get("offset"), message.get("count")
        count = -1 if count is None else values.size(count)
        if offset is not None:
            offset = values.size(offset)
        else:
            # As sendfile(2) does without one.
            offset = os.lseek(fd, 0, os.SEEK_CUR)
            rest = max(0, info.st_size - offset)
            os.lseek(fd, rest if count < 0 else min(count, rest), os.SEEK_CUR)
        more = message.get("more_body", False)
        if self.phase == HEAD:
            if not more:
                self._send_all(fd, offset, count, max(0, info.st_size - offset))
                return
            await self.await_window()
            self._start_alone()
        await self.await_window()
        self._send_part(fd, offset, count)
        if not more:
            self._end()

    # The end

    def unfinished(self) -> None:
        if self.phase == TRAILING:
            self.finish(dumps((REPLY_TRAILERS, self.id, self.trailers), FORMAT))
            return
        if not self.gone:
            self.log.error("Error in ASGI application: it returned without %s", _MISSING[self.phase])
        self.fail()


_PHASES = {
    NEW: "before http.response.start",
    HEAD: "after http.response.start",
    BODY: "while the body is sent",
    TRAILING: "after the body",
}

_MISSING = {
    NEW: "a response",
    HEAD: "the body of its response",
    BODY: "the end of its response",
}


def _is_last(kind: str, message: Message, trailing: bool) -> bool:
    """Reports whether nothing has to follow a message for the response to be complete."""
    if kind == "http.response.trailers":
        return not message.get("more_trailers")
    if trailing:
        return False
    if kind == "http.response.pathsend":
        return True
    return kind in ("http.response.body", "http.response.zerocopysend") and not message.get("more_body")
