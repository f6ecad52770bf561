"""One response: the interface that PEP 3333 gives the app, and the messages to the
front that come of it."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from marshal import dumps

from .protocol import (
    MAX_MESSAGE,
    REPLY_CHUNK,
    REPLY_END,
    REPLY_ERROR,
    REPLY_FILE,
    REPLY_HINTS,
    REPLY_RESPONSE,
    REPLY_START,
    RESPONSE_BUFFER_SIZE,
)
from .wire import FORMAT, MAX_CHUNK, MAX_COPIED, MAX_READ, MIN_PLACED, ClientGone, rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple, Union

    from .wire import Data, ResponseArena, ResponseBuffer, Scoreboard

    Environ = Dict[str, Any]
    Headers = List[Tuple[str, str]]


class FileWrapper:
    """wsgi.file_wrapper."""

    def __init__(self, filelike: Any, blksize: int = 8192) -> None:
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        data: bytes = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration

    def __getitem__(self, index: int) -> bytes:
        # The iteration protocol of old, which some middleware uses.
        data: bytes = self.filelike.read(self.blksize)
        if data:
            return data
        raise IndexError


class WSGIResponse:
    """The response to one request. A subclass for each slot holds the socket of the slot, its
    response buffer and its response arena. Messages name the request by `ref`: the claim that came with it, or
    the id where there is none."""

    # Here and not in __init__: making one is on the hot path.
    status: Optional[str] = None
    headers: Optional[Headers] = None
    started = False  # something was sent
    done = False  # nothing can follow
    lost = False  # the front is gone
    sent = 0  # bytes of the body
    sock: Any = None
    response_buffer: ResponseBuffer
    arena: Optional[ResponseArena] = None  # only where messages are sent in the order in which they are made
    scoreboard: Scoreboard
    id = 0
    ref: Union[bytes, int] = 0
    web_socket: Any = None  # the Handshake that the request is
    gone = 0  # the word of the scoreboard that names a request whose client has gone

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info is not None:
            try:
                if self.started:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # it refers to this frame
        elif self.status is not None:
            if self.web_socket is not None and self.web_socket.accepted:
                self.web_socket.failed = status.startswith("5")
                return _drop
            raise AssertionError("Response headers already set!")
        if type(status) is not str or not status.isascii():
            status = _text(status)
        headers = list(headers)  # a copy: the app may change its own later
        for pair in headers:
            if type(pair) is tuple:
                name, value = pair
                if type(name) is str and type(value) is str and name.isascii() and value.isascii():
                    continue
            headers = _header_list(headers)
            break
        self.status = status
        self.headers = headers
        return self.write

    def write(self, data: bytes) -> None:
        if type(data) is not bytes:
            data = _bytes(data)
        if self.done:
            raise AssertionError("write() after the end of the response")
        self.put(data)

    def accepted(self, headers: Headers) -> None:
        """Is called when the app has accepted a handshake of WebSocket. It may make a response
        all the same, which goes nowhere."""
        self.status, self.headers, self.started = "101 Switching Protocols", headers, True

    def early_hints(self, headers: Iterable[Tuple[Any, Any]]) -> None:
        """wsgi.early_hints. Ignored once the response has begun."""
        if not self.started:
            pairs = []
            for name, value in headers:
                if isinstance(name, bytes):
                    name = name.decode("latin-1")
                if isinstance(value, bytes):
                    value = value.decode("latin-1")
                pairs.append((name, value))
            self.send((REPLY_HINTS, self.ref, _header_list(pairs)))

    def send(self, message: Tuple[Any, ...]) -> None:
        data = dumps(message, FORMAT)
        if len(data) > MAX_MESSAGE:
            raise ValueError("response head of %d bytes is too large" % len(data))
        self._send(data)

    def _send(self, data: bytes, *ancillary: Tuple[int, int, bytes]) -> None:
        try:
            self.sock.sendmsg([data], ancillary)
        except OSError:
            self.lost = True
            raise

    def _send_whole(self, data: bytes) -> None:
        """Sends a response that is one message."""
        self._send(data)

    def _head(self) -> Tuple[str, Headers]:
        if self.status is None or self.headers is None:
            raise AssertionError("start_response() was not called")
        return self.status, self.headers

    def has_gone(self) -> bool:
        """Reports whether the client has gone."""
        return self.scoreboard[self.gone] == self.id

    def put(self, data: bytes) -> None:
        """Sends a part of the body at once, with the head if it is the first."""
        if self.has_gone():
            raise ClientGone(errno.EPIPE, "the client has gone")
        at = 0
        if not self.started:
            if self._send_in_one(REPLY_START, data):
                at = len(data)
            else:
                self.send((REPLY_START, self.ref, self.status, self.headers, b""))
            self.started = True
        self.sent += len(data)
        view = memoryview(data)
        try:
            while at < len(data):
                part = view[at : at + RESPONSE_BUFFER_SIZE]
                if len(part) <= MAX_COPIED or not self._send_by_buffer((REPLY_CHUNK, self.ref, len(part)), part):
                    if self.arena is None or not self.arena.has_room(len(part)):
                        part = part[:MAX_CHUNK]
                    self.send((REPLY_CHUNK, self.ref, self._placed(part)))
                at += len(part)
        except BaseException:
            if at:
                self.cut()
            raise

    def cut(self) -> None:
        """Ends the response in the middle of a part that the app has given, since an
        exception has interrupted the sending: nothing else can follow."""
        if not self.lost and not self.has_gone():
            self.done = True
            self.send((REPLY_ERROR, self.ref))

    def _send_in_one(self, kind: int, body: bytes) -> bool:
        """Sends the head and a body in one message; False: they do not fit into one."""
        status, headers = self._head()
        size = len(body)
        if size > MAX_COPIED:
            if size > RESPONSE_BUFFER_SIZE or self._send_by_buffer((kind, self.ref, status, headers, size), body):
                return size <= RESPONSE_BUFFER_SIZE
            if self.arena is None or not self.arena.has_room(size):
                return False
        data = dumps((kind, self.ref, status, headers, self._placed(body)), FORMAT)
        if len(data) > MAX_MESSAGE:
            return False
        if kind == REPLY_RESPONSE:
            self._send_whole(data)
        else:
            self._send(data)
        return True

    def _placed(self, body: Data) -> Union[Data, Tuple[int, int]]:
        """Puts a body into the response arena, if that pays, and returns what stands for it in
        the next message."""
        if len(body) < MIN_PLACED or self.arena is None:
            return body
        return self.arena.place(self.id, body)

    def _send_by_buffer(self, message: Tuple[Any, ...], body: Data) -> bool:
        """Sends a message whose body goes by the response buffer; False: it cannot."""
        data = dumps(message, FORMAT)
        if len(data) > MAX_MESSAGE or not self.response_buffer.put(self.id, body):
            return False
        try:
            self._send(data)
        except BaseException:
            self.response_buffer.clear()
            raise
        return True

    def whole(self, body: bytes) -> None:
        """Sends the response, whose body is all here."""
        if self._send_in_one(REPLY_RESPONSE, body):
            self.started = self.done = True
            self.sent = len(body)
        else:
            self.put(body)
            self.finish()

    def finish(self) -> None:
        if not self.started:
            self.whole(b"")
        elif not self.done:
            self.send((REPLY_END, self.ref))
            self.done = True

    def respond(self, result: Any, method: Optional[str]) -> None:
        """Sends the response that the app has returned."""
        try:
            if self.web_socket is not None and (self.web_socket.accepted or self.done):
                end = self.web_socket.end()
                if end is not None:
                    self._send(end)
                return
            if isinstance(result, (list, tuple)):
                for item in result:
                    if type(item) is not bytes:
                        result = [_bytes(item) for item in result]
                        break
                body = result[0] if len(result) == 1 else b"".join(result)
                if self.started:
                    self.put(body)
                    self.finish()
                else:
                    self.whole(body)
            elif isinstance(result, FileWrapper) and not self.started and self.file(result, method):
                pass
            else:
                self.iterate(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def iterate(self, result: Iterable[bytes]) -> None:
        for item in result:
            if type(item) is not bytes:
                item = _bytes(item)
            if not item or self.done:
                continue  # the app goes on behind the content length
            if not self.started and len(item) == self.content_length():
                # Frameworks return a body in one piece as an iterator, too.
                self.whole(item)
            else:
                self.put(item)
        self.finish()

    def content_length(self) -> Optional[int]:
        """Returns the length that the app has declared, None if it has not."""
        for name, value in self._head()[1]:
            if len(name) == 14 and name.lower() == "content-length":
                try:
                    return int(value)
                except ValueError:
                    return None
        return None

    def file(self, wrapper: FileWrapper, method: Optional[str]) -> bool:
        """Has the front send a file; False: this one cannot be sent so."""
        status, headers = self._head()
        filelike = wrapper.filelike
        if not _is_plain(filelike):
            return False
        try:
            filelike.flush()
            fd = filelike.fileno()
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                return False
            offset = filelike.tell()  # not the descriptor's own: the object has read ahead
        except (OSError, ValueError):
            return False
        if method == "HEAD":
            self.put(b"")
            self.finish()
            return True
        size = info.st_size - offset
        place = self.arena.read(self.id, fd, offset, size) if self.arena is not None and 0 < size <= MAX_READ else None
        if place is not None:
            self._send_whole(dumps((REPLY_RESPONSE, self.ref, status, headers, place), FORMAT))
            self.sent = size
        else:
            self._send(dumps((REPLY_FILE, self.ref, status, headers, offset, -1), FORMAT), rights(fd))
        self.started = self.done = True
        return True


def _is_plain(filelike: Any) -> bool:
    """Reports whether an object reads the very bytes of the file that its descriptor is of.
    Many objects with a fileno() do not: they decompress, decrypt, stop early, or keep the
    real data elsewhere."""
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None and type(filelike) is tempfile._TemporaryFileWrapper:
        filelike = filelike.file
    if type(filelike) in (io.BufferedReader, io.BufferedRandom):
        try:
            filelike = filelike.raw
        except ValueError:  # it was detached
            return False
    return type(filelike) is io.FileIO


def _drop(data: bytes) -> None:
    """write() of a response that goes nowhere."""


def _bytes(item: Any) -> bytes:
    if not isinstance(item, bytes):
        raise TypeError("%r is not a byte" % (item,))
    return bytes(item)


def _text(value: Any) -> str:
    """Returns value as an exact str of Latin-1."""
    if not isinstance(value, str):
        raise TypeError("%r is not a string" % (value,))
    value.encode("latin-1")
    return str.__str__(value)


def _header_list(headers: Iterable[Tuple[Any, Any]]) -> Headers:
    return [(_text(name), _text(value)) for name, value in headers]
