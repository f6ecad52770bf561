"""A request of HTTP and its response, as ASGI has them:
https://asgi.readthedocs.io/en/latest/specs/www.html and .../extensions.html."""

import os
import stat
from asyncio import sleep
from collections import deque
from marshal import dumps

from . import asgivalues as values
from .conversation import GONE, ROOM, WINDOW, Conversation
from .exchange import (
    CHUNK,
    COPIED,
    END,
    FILE,
    FORMAT,
    HINTS,
    PART,
    RESPONSE,
    START,
    TRAILERS,
    WANT,
    ClientGone,
)
from .wire import MAX_MESSAGE, TRAY_SIZE

# How far the response is.
NEW, HEAD, BODY, TRAILING, DONE = range(5)


class Request(Conversation):
    phase = NEW
    status = None
    headers = None
    trailing = False  # the app has announced trailers
    trailers = ()
    sent = None  # bytes of the body, once the response has begun; for hooks
    more = False  # parts of the body are to come
    parts = None  # those that came
    room = 0  # bytes of the body that were wanted and have not come
    sending = False  # a task of the app sends, or waits until it can

    # Receiving

    async def receive(self):
        body = self.body
        if body is not None and not self.gone and self.phase != DONE:
            self.body = None
            return {"type": "http.request", "body": body, "more_body": self.more}
        return await self._receive()

    async def _receive(self):
        while not self.gone and self.phase != DONE:
            if self.parts:
                body = self.parts.popleft() if len(self.parts) == 1 else b"".join(self.parts)
                self.parts.clear()
                return {"type": "http.request", "body": body, "more_body": self.more}
            if self.more:
                self._want()
            await self.wait_reader()
        return {"type": "http.disconnect"}

    def _want(self):
        if self.room <= ROOM // 2:
            self.server.put(dumps((WANT, self.number, ROOM - self.room), FORMAT))
            self.room = ROOM

    def on_body(self, data, more):
        self.room -= len(data)
        self.more = bool(more)
        if self.parts is None:
            self.parts = deque()
        self.parts.append(data)
        self.wake_readers()

    # Sending

    async def send(self, message):
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
            if len(body) <= COPIED:
                data = dumps((RESPONSE, self.number, self.status, self.headers, body), FORMAT)
                if len(data) <= MAX_MESSAGE:
                    self.phase = DONE
                    self.sent = len(body)
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

    async def _send(self, kind, message):
        try:
            await self._transmit(kind, message)
        except ClientGone:
            await self._discard(kind, message)

    async def _discard(self, kind, message):
        """Takes what an app sends when its client has gone: it reaches nobody, and the
        app need not know, unless that is wanted."""
        if self.server.strict:
            raise ClientGone(GONE)
        # An app that sends on and on must not hold up the others, one of which may be
        # there to end it.
        await sleep(0)
        if kind == "http.response.start":
            self.status = message["status"]
            self.trailing = message.get("trailers", False)
        elif not self.done and _is_last(kind, message, self.trailing):
            self.fail()

    async def _transmit(self, kind, message):
        # What tasks of an app send at the same time goes one after the other.
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
                self.server.put(values.head(dumps((HINTS, self.number, links), FORMAT)))
        elif kind == "http.response.trailers" and phase == TRAILING:
            trailers = self.trailers + tuple(values.headers(message.get("headers", ())))
            data = values.head(dumps((TRAILERS, self.number, trailers), FORMAT))
            self.trailers = trailers
            if not message.get("more_trailers"):
                self.finish(data)
        elif phase != DONE:  # after that the specification has it ignored
            raise RuntimeError("%r is not expected %s" % (kind, _PHASES[phase]))

    async def _alone(self, sending):
        self.sending = True
        try:
            await sending
        finally:
            self.sending = False
            if self.writers:
                self.wake_writers()

    async def _send_body(self, body, more):
        at = 0
        view = memoryview(body)
        if self.phase == HEAD:
            head = (self.number, self.status, self.headers)
            if not more and not self.trailing and len(body) <= TRAY_SIZE:
                data = await self._by_tray((RESPONSE,) + head, view)
                if data is not None:
                    self.sent = len(body)
                    self.finish(data)
                    return
            await self.await_window()
            part = view[:WINDOW]
            data = await self._by_tray((START,) + head, part)
            if data is None:
                part = view[:COPIED]  # more only if the head leaves no room for any
                data = dumps((START,) + head + (part,), FORMAT)
            if len(data) <= MAX_MESSAGE:
                self._start(data, len(part))
                at = len(part)
            else:
                self._start_alone()
        try:
            while at < len(view):
                await self.await_window()
                part = view[at : at + WINDOW]
                data = await self._by_tray((CHUNK, self.number), part)
                if data is None:
                    data = dumps((CHUNK, self.number, part), FORMAT)
                self.window -= len(part)
                self.sent += len(part)
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

    def _start(self, data, size):
        """Sends the head, and so many bytes of the body with it."""
        self.phase = BODY
        self.sent = size
        self.window -= size
        self.server.put(data)

    def _start_alone(self):
        """Sends the head alone."""
        self._start(values.head(dumps((START, self.number, self.status, self.headers, b""), FORMAT)), 0)

    async def _by_tray(self, head, part):
        """Puts a part of the body on the tray, and returns the message for it; None if
        it cannot go that way, or should not."""
        size = len(part)
        if size <= COPIED:
            return None
        data = dumps(head + (size,), FORMAT)
        if len(data) > MAX_MESSAGE:
            return None
        await self.await_tray()
        self.server.tray.put(self.number, part)
        return data

    def _end(self):
        if self.trailing:
            self.phase = TRAILING
        else:
            self.finish(dumps((END, self.number), FORMAT))

    def finish(self, data):
        self.phase = DONE
        super().finish(data)

    async def _send_path(self, path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ValueError("%r is not a regular file" % (path,))
            self._send_all(fd, 0, -1)
        finally:
            os.close(fd)

    def _send_all(self, fd, offset, count):
        """Sends a response whose body is a part of a file."""
        if self.trailing:
            self._start_alone()
            self._send_part(fd, offset, count)
            self._end()
            return
        data = values.head(dumps((FILE, self.number, self.status, self.headers, offset, count), FORMAT))
        self.phase = DONE
        self.done = True
        self.sent = 0
        self.server.put_file(data, fd)
        self.wake_readers()

    def _send_part(self, fd, offset, count):
        rest = max(0, os.fstat(fd).st_size - offset)
        self.window -= rest if count < 0 else min(count, rest)
        self.server.put_file(dumps((PART, self.number, offset, count), FORMAT), fd)

    async def _send_file(self, message):
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
                self._send_all(fd, offset, count)
                return
            await self.await_window()
            self._start_alone()
        await self.await_window()
        self._send_part(fd, offset, count)
        if not more:
            self._end()

    # The end

    def unfinished(self):
        if self.phase == TRAILING:
            self.finish(dumps((TRAILERS, self.number, self.trailers), FORMAT))
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


def _is_last(kind, message, trailing):
    """Reports whether nothing has to follow a message for the response to be complete."""
    if kind == "http.response.trailers":
        return not message.get("more_trailers")
    if trailing:
        return False
    if kind == "http.response.pathsend":
        return True
    return kind in ("http.response.body", "http.response.zerocopysend") and not message.get("more_body")
