"""One response: what PEP 3333 lets the app do to it, and the messages to the
front that come of it."""

import errno
import io
import os
import stat
import struct
import sys
from marshal import dumps

from .wire import MAX_MESSAGE, SCM_RIGHTS, SOL_SOCKET, TRAY_SIZE

# The version of the marshal format that the front reads.
FORMAT = 2

# The kinds of messages.
RESPONSE, START, CHUNK, END, FILE, ERROR, REFUSED, HINTS, EXTEND = range(9)
LEAVE, WANT, TRAILERS, PART, FAIL, ACCEPT, MESSAGE, CLOSE = range(9, 17)  # of ASGI workers

# Parts of a body that are larger, in bytes, go by the tray if that is free: it takes
# two copies less.
COPIED = 64 << 10

# The largest part of a body that goes in a message while the tray is not free.
MAX_CHUNK = 120 << 10


class FrontGone(Exception):
    """The front cannot be reached: there is nobody to serve."""


class ClientGone(BrokenPipeError):
    """The client has closed the connection."""


class Late(BaseException):
    """The time of the request is over, and its client was answered. It is raised
    wherever the app happens to be, to clean up."""


class FileWrapper:
    """wsgi.file_wrapper."""

    def __init__(self, filelike, blksize=8192):
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration

    def __getitem__(self, index):
        # The iteration protocol of old, which some middleware uses.
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise IndexError


class Exchange:
    """The response to one request. A subclass for each slot holds its socket
    in `sock`, and its tray. Messages name the request by `id`: by its number, or by its
    claim, which has the token that came with it."""

    # Here and not in __init__: making one is on the hot path.
    status = None
    headers = None
    started = False  # something was sent
    done = False  # nothing can follow
    lost = False  # the front is gone
    sent = 0  # bytes of the body
    sock = None
    tray = None
    board = None
    number = id = None
    gone = 0  # the word of the board that names a request whose client has gone

    def start_response(self, status, headers, exc_info=None):
        if exc_info is not None:
            try:
                if self.started:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # it refers to this frame
        elif self.status is not None:
            raise AssertionError("Response headers already set!")
        if type(status) is not str or not status.isascii():
            status = _text(status)
        headers = list(headers)  # what the app does with its own later changes nothing
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

    def write(self, data):
        if type(data) is not bytes:
            data = _bytes(data)
        if self.done:
            raise AssertionError("write() after the end of the response")
        self.put(data)

    def early_hints(self, headers):
        """wsgi.early_hints. Ignored once the response has begun."""
        if not self.started:
            pairs = []
            for name, value in headers:
                if isinstance(name, bytes):
                    name = name.decode("latin-1")
                if isinstance(value, bytes):
                    value = value.decode("latin-1")
                pairs.append((name, value))
            self.send((HINTS, self.id, _header_list(pairs)))

    def send(self, message):
        data = dumps(message, FORMAT)
        if len(data) > MAX_MESSAGE:
            raise ValueError("response head of %d bytes is too large" % len(data))
        self._send(data)

    def _send(self, data, *ancillary):
        try:
            self.sock.sendmsg([data], ancillary)
        except OSError:
            self.lost = True
            raise

    def _send_whole(self, data):
        """Sends a response that is one message."""
        self._send(data)

    def _head(self):
        if self.status is None:
            raise AssertionError("start_response() was not called")
        return self.status, self.headers

    def has_gone(self):
        """Tells whether the client has."""
        return self.board[self.gone] == self.number

    def put(self, data):
        """Sends a part of the body at once, with the head if it is the first."""
        if self.has_gone():
            raise ClientGone(errno.EPIPE, "the client has gone")
        at = 0
        if not self.started:
            if self._sent_in_one(START, data):
                at = len(data)
            else:
                self.send((START, self.id, self.status, self.headers, b""))
            self.started = True
        self.sent += len(data)
        view = memoryview(data)
        try:
            while at < len(data):
                part = view[at : at + TRAY_SIZE]
                if len(part) <= COPIED or not self._sent_by_tray((CHUNK, self.id, len(part)), part):
                    part = part[:MAX_CHUNK]
                    self.send((CHUNK, self.id, part))
                at += len(part)
        except BaseException:
            if at:
                self.cut()
            raise

    def cut(self):
        """Ends the response behind half of what the app gave at a time, since something
        has interrupted that: nothing else can follow."""
        if not self.lost and not self.has_gone():
            self.done = True
            self.send((ERROR, self.id))

    def _sent_in_one(self, kind, body):
        """Sends the head and a body in one message, and tells whether they fit."""
        status, headers = self._head()
        size = len(body)
        if size > COPIED:
            return size <= TRAY_SIZE and self._sent_by_tray((kind, self.id, status, headers, size), body)
        data = dumps((kind, self.id, status, headers, body), FORMAT)
        if len(data) > MAX_MESSAGE:
            return False
        if kind == RESPONSE:
            self._send_whole(data)
        else:
            self._send(data)
        return True

    def _sent_by_tray(self, message, body):
        """Sends a message whose body goes by the tray, and tells whether it could."""
        data = dumps(message, FORMAT)
        if len(data) > MAX_MESSAGE or not self.tray.put(self.number, body):
            return False
        try:
            self._send(data)
        except BaseException:
            self.tray.clear()
            raise
        return True

    def whole(self, body):
        """Sends the response, body is all of it."""
        if self._sent_in_one(RESPONSE, body):
            self.started = self.done = True
            self.sent = len(body)
        else:
            self.put(body)
            self.finish()

    def finish(self):
        if not self.started:
            self.whole(b"")
        elif not self.done:
            self.send((END, self.id))
            self.done = True

    def respond(self, result, method):
        """Sends what the app returned."""
        try:
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

    def iterate(self, result):
        for item in result:
            if type(item) is not bytes:
                item = _bytes(item)
            if not item or self.done:
                continue  # what is over the content length is dropped
            if not self.started and len(item) == self.content_length():
                # Frameworks return a body in one piece as an iterator, too.
                self.whole(item)
            else:
                self.put(item)
        self.finish()

    def content_length(self):
        """Returns what the app said that it is, None if it did not."""
        for name, value in self._head()[1]:
            if len(name) == 14 and name.lower() == "content-length":
                try:
                    return int(value)
                except ValueError:
                    return None
        return None

    def file(self, wrapper, method):
        """Has the front send a file, and tells whether it can be sent so."""
        status, headers = self._head()
        filelike = wrapper.filelike
        if not _is_plain(filelike):
            return False
        try:
            filelike.flush()
            fd = filelike.fileno()
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return False
            offset = filelike.tell()  # not the descriptor's own: the object has read ahead
        except (OSError, ValueError):
            return False
        if method == "HEAD":
            self.put(b"")
            self.finish()
            return True
        data = dumps((FILE, self.id, status, headers, offset, -1), FORMAT)
        self._send(data, (SOL_SOCKET, SCM_RIGHTS, struct.pack("i", fd)))
        self.started = self.done = True
        return True


def _is_plain(filelike):
    """Reports whether an object reads what is in the file of its descriptor. Of those that
    have a fileno() many do not: they decompress, decrypt, stop early, or keep the real
    data elsewhere."""
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None and type(filelike) is tempfile._TemporaryFileWrapper:
        filelike = filelike.file
    if type(filelike) in (io.BufferedReader, io.BufferedRandom):
        try:
            filelike = filelike.raw
        except ValueError:  # it was detached
            return False
    return type(filelike) is io.FileIO


def _bytes(item):
    if not isinstance(item, bytes):
        raise TypeError("%r is not a byte" % (item,))
    return bytes(item)


def _text(value):
    """Returns value as an exact str of Latin-1."""
    if not isinstance(value, str):
        raise TypeError("%r is not a string" % (value,))
    value.encode("latin-1")
    return str.__str__(value)


def _header_list(headers):
    return [(_text(name), _text(value)) for name, value in headers]
