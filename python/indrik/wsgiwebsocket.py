"""WebSocket connections for apps of WSGI.

PEP 3333 has none, so packages take the client's socket from the environ and speak
WebSocket on it themselves (`gunicorn.socket`: simple-websocket, and with it Flask-Sock and
Flask-SocketIO), or get an object (`wsgi.websocket`: geventwebsocket's). Here that socket
is one end of a pair. What the app sends first, its answer to the handshake, goes to the
front as a message, together with the other end of the pair. After that the two speak
WebSocket on it, and the front speaks it with the client.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from marshal import dumps

from .protocol import REPLY_ACCEPT, REPLY_CLOSE, REPLY_LEAVE
from .websocketapi import INTERNAL_ERROR, NORMAL, WebSocket
from .wire import FORMAT, rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional, Set, Tuple, Type

    from .wire import Data
    from .worker import Worker
    from .wsgiresponse import Environ, Headers, WSGIResponse

# How large the answer to a handshake may be, in bytes.
MAX_ANSWER = 64 << 10

# Fields of that answer that are the front's to say.
_OF_FRONT = ("upgrade", "connection", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol")


class Handshake:
    """A handshake that the app may accept, and then the connection."""

    def __init__(self, worker: Worker, response: WSGIResponse, environ: Environ) -> None:
        self.worker = worker
        self.response = response
        self.environ = environ
        self.accepted = self.denied = self.ended = False
        self.failed = False  # the app has answered an error of its own by a response
        self.lock = threading.Lock()  # around each frame that the app sends
        self._answer = b""
        # The class that is there now: gevent may have put its own in that place.
        self.socket, self._front = _pair(socket.socket)
        self.socket.handshake = self
        environ["gunicorn.socket"] = self.socket
        environ["wsgi.websocket"] = WebSocket(environ, self)
        environ["wsgi.websocket_version"] = environ.get("HTTP_SEC_WEBSOCKET_VERSION")

    def offered(self) -> List[str]:
        """Returns the subprotocols that the client offers."""
        offers = self.environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")
        return [name.strip() for name in offers if name.strip()]

    def accept(self, subprotocol: str, headers: Headers) -> None:
        """Accepts the handshake."""
        if self.response.started or self.response.done:
            raise OSError(errno.EPIPE, "the handshake was answered already")
        if subprotocol and subprotocol not in self.offered():
            raise ValueError("the client does not offer the subprotocol %r" % (subprotocol,))
        message = dumps((REPLY_ACCEPT, self.response.ref, subprotocol, headers), FORMAT)
        self.response._send(message, rights(self._front.fileno()))
        self._front.close()
        self.accepted = True
        self.response.accepted(headers)
        _open.add(self)
        if self.worker.stopping:
            leave()
        _warn_if_alone(self.worker)

    def answer(self, data: Data) -> Data:
        """Takes from what the app sends its answer to the handshake, and returns the rest."""
        if self.accepted:
            return data
        if self.denied:
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
        self._answer += data
        head, end, rest = self._answer.partition(b"\r\n\r\n")
        if not end:
            if len(head) > MAX_ANSWER:
                raise ValueError("an answer of more than %d bytes to a WebSocket handshake" % MAX_ANSWER)
            return b""
        self._answer = b""
        status, subprotocol, headers = _parse(head)
        if status.startswith("101"):
            self.accept(subprotocol, headers)
            return rest
        self.denied = True
        self.response.start_response(status, headers)
        self.response.whole(rest)
        return b""

    def is_usual_end(self, error: Optional[BaseException]) -> bool:
        """Reports whether an exception is how an app ends a connection: Gunicorn's workers
        are left by StopIteration, and who sends to a client that has gone learns that so."""
        if not (self.accepted or self.denied):
            return False
        return isinstance(error, (StopIteration, BrokenPipeError, ConnectionResetError)) or (
            isinstance(error, OSError) and self.environ["wsgi.websocket"].dead
        )

    def end(self) -> Optional[bytes]:
        """Returns the message that ends a connection after its app; None: there is none to
        send."""
        if not self.accepted or self.ended:
            return None
        self.ended = self.response.done = True
        return dumps((REPLY_CLOSE, self.response.ref, INTERNAL_ERROR if self.failed else NORMAL, b""), FORMAT)

    def close(self) -> None:
        """Gives the socket up, when the app is done."""
        _open.discard(self)
        self._front.close()
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes who waits there
        except OSError:
            pass  # it is closed
        self.socket.close()
        self.environ["wsgi.websocket"].gone()
        self.environ["wsgi.websocket"] = None


_open: Set[Handshake] = set()  # accepted, and not given up


def leave() -> None:
    """Tells the front that this worker leaves, if it has connections: of a signal that was not
    the master's it would not know. It has them end. May be called by the handler of a signal."""
    for handshake in list(_open):
        message = dumps((REPLY_LEAVE, handshake.response.ref), FORMAT)
        try:
            handshake.response.sock.sendmsg([message], (), socket.MSG_DONTWAIT)
        except OSError:
            continue
        return


_warned = False


def _warn_if_alone(worker: Worker) -> None:
    """Warns once that a worker without threads does nothing else while a connection is there."""
    global _warned
    if not (worker.threaded or worker.is_gevent or _warned):
        _warned = True
        worker.log.warning(
            "A WebSocket connection occupies this worker until it ends: "
            "--threads 100 or --worker-class gevent has room for more"
        )


def _parse(head: bytes) -> Tuple[str, str, Headers]:
    """Returns the status, the subprotocol and the other fields of an answer of HTTP/1."""
    lines = head.decode("latin-1").split("\r\n")
    version, _, status = lines[0].partition(" ")
    if not version.startswith("HTTP/1.") or not status[:3].isdigit():
        raise ValueError("%r is no answer to a WebSocket handshake" % (lines[0],))
    subprotocol, headers = "", []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if name.lower() == "sec-websocket-protocol":
            subprotocol = value
        if name.lower() not in _OF_FRONT:
            headers.append((name, value))
    return status, subprotocol, headers


_classes: Dict[type, Any] = {}


def _pair(base: Any) -> Tuple[Any, Any]:
    """Returns the app's socket, of a class that derives from base, and the front's."""
    app, front = socket.socketpair()
    made = _class(base)(app.family, app.type, app.proto, fileno=app.detach())
    made.settimeout(None)  # whatever the app has made the default
    return made, front


def _class(base: Any) -> Type[Any]:
    if base in _classes:
        made: Type[Any] = _classes[base]
        return made

    class AppSocket(base):  # type: ignore[misc]
        """The app's end of the pair. What it sends goes as a whole, and not between the
        parts of what another thread sends: that would break frames."""

        handshake: Handshake

        def send(self, data: Data, flags: int = 0) -> int:
            with self.handshake.lock:
                rest = memoryview(self.handshake.answer(data))
                while rest:
                    rest = rest[super().send(rest, flags) :]
            return len(data)

        def sendall(self, data: Data, flags: int = 0) -> None:
            self.send(data, flags)

        def sendmsg(self, buffers: Iterable[Data], ancdata: object = (), flags: int = 0, address: object = None) -> int:
            return self.send(b"".join(buffers), flags)

    _classes[base] = AppSocket
    return AppSocket
