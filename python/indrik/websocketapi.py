"""environ["wsgi.websocket"]: a WebSocket connection with the interface of geventwebsocket.

The other end of the socket is the front (wsgiwebsocket.py). It sends frames of valid
messages alone, answers the pings of the client, and masks with zeros.
"""

from __future__ import annotations

import logging
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple, Type, Union

    from .wsgiresponse import Environ
    from .wsgiwebsocket import Handshake

# Close codes (RFC 6455 section 7.4.1).
NORMAL, INTERNAL_ERROR = 1000, 1011

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10

# How much is read from the socket at once, in bytes.
_READ = 64 << 10


class WebSocketError(OSError):
    """What geventwebsocket.WebSocketError is, where that package is not imported."""


def error_class() -> Type[OSError]:
    """Returns the exception that the app can know."""
    theirs = sys.modules.get("geventwebsocket.exceptions")
    found: Type[OSError] = getattr(theirs, "WebSocketError", WebSocketError)
    return found


class Server:
    """What apps find at `ws.handler.server`."""

    def __init__(self, application: Any, logger: logging.Logger) -> None:
        self.application = application
        self.logger = logger
        self.clients: Dict[Tuple[str, str], Client] = {}  # by address and port


class Client:
    """A client of Server.clients."""

    def __init__(self, address: Tuple[str, str], ws: WebSocket) -> None:
        self.address = address
        self.ws = ws


class Handler:
    """What apps find at `ws.handler`."""

    def __init__(self, environ: Environ, server: Server, websocket: WebSocket) -> None:
        self.environ = environ
        self.server = server
        self.application = server.application
        self.websocket = websocket
        self.client_address = environ.get("REMOTE_ADDR", ""), environ.get("REMOTE_PORT", "")

    @property
    def logger(self) -> logging.Logger:
        return self.server.logger

    @property
    def active_client(self) -> Client:
        return self.server.clients[self.client_address]


class _NoApp:
    def on_close(self, *args: object) -> None:
        pass


class WebSocket:
    """A WebSocket connection. The handshake is accepted by the first call of receive(),
    send(), send_frame() or close(); an app that calls none of them may answer it with any
    other response. Greenlets and threads may send at the same time, one receives."""

    OPCODE_CONTINUATION = _CONTINUATION
    OPCODE_TEXT = _TEXT
    OPCODE_BINARY = _BINARY
    OPCODE_CLOSE = _CLOSE
    OPCODE_PING = _PING
    OPCODE_PONG = _PONG

    def __init__(self, environ: Environ, handshake: Handshake) -> None:
        self.environ: Optional[Environ] = environ
        self.closed = False
        self.dead = False  # the client has gone without a word
        self._handshake = handshake
        self._read_ahead = bytearray()
        self.handler = Handler(environ, _server(handshake.worker), self)

    def _header(self, name: str) -> Any:
        return self.environ.get(name) if self.environ else None

    @property
    def origin(self) -> Optional[str]:
        return self._header("HTTP_ORIGIN")  # type: ignore[no-any-return]

    @property
    def protocol(self) -> Optional[str]:
        return self._header("HTTP_SEC_WEBSOCKET_PROTOCOL")  # type: ignore[no-any-return]

    @property
    def version(self) -> Optional[str]:
        return self._header("HTTP_SEC_WEBSOCKET_VERSION")  # type: ignore[no-any-return]

    @property
    def path(self) -> Optional[str]:
        return self._header("PATH_INFO")  # type: ignore[no-any-return]

    @property
    def logger(self) -> logging.Logger:
        return self.handler.logger

    @property
    def current_app(self) -> Any:
        return getattr(self.handler.application, "current_app", None) or _NoApp()

    def _accept(self) -> None:
        handshake = self._handshake
        if handshake.accepted:
            return
        with handshake.lock:
            if not handshake.accepted:
                handshake.accept(self._subprotocol(), [])
                self.handler.server.clients[self.handler.client_address] = Client(self.handler.client_address, self)

    def _subprotocol(self) -> str:
        """Returns the subprotocol that the app wants, as geventwebsocket.Resource says it."""
        choose = getattr(self.handler.application, "app_protocol", None)
        wanted = choose(self.path) if choose is not None else ""
        return wanted if wanted in self._handshake.offered() else ""

    def _check_open(self) -> None:
        if self.closed:
            self.current_app.on_close("Connection is already closed")
            raise error_class()("Connection is already closed")

    def receive(self) -> Union[str, bytearray, None]:
        """Returns the next message, a str or a bytearray; None once the connection is
        closed. Another call after that raises WebSocketError."""
        self._check_open()
        self._accept()
        try:
            message = self.read_message()
        except (OSError, EOFError):
            self.dead = True
            self._end()
            self.current_app.on_close("Connection closed")
            return None
        return message

    def read_message(self) -> Union[str, bytearray, None]:
        """Returns the next message. An exception of it ends nothing: receive() sees to that."""
        message, text = bytearray(), False
        while True:
            opcode, last, payload = self._read_frame()
            if opcode == _CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else NORMAL
                self.close(code, bytes(payload[2:]))
                return None
            if opcode >= _PING:
                if opcode == _PING:
                    self.send_frame(bytes(payload), _PONG)
                continue
            if opcode != _CONTINUATION:
                text = opcode == _TEXT
            message += payload
            if last:
                return message.decode("utf-8") if text else message

    def _read_frame(self) -> Tuple[int, bool, bytearray]:
        first, size = self._read(2)
        masked, size = size & 0x80, size & 0x7F
        if size == 126:
            size = struct.unpack("!H", self._read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self._read(8))[0]
        if masked:
            self._read(4)  # zeros
        return first & 0x0F, bool(first & 0x80), self._read(size)

    def _read(self, size: int) -> bytearray:
        ahead = self._read_ahead
        while len(ahead) < size:
            data = self._handshake.socket.recv(_READ)
            if not data:
                raise EOFError
            ahead += data
        data = ahead[:size]
        del ahead[:size]
        return data

    def send(self, message: Any, binary: Optional[bool] = None) -> None:
        """Sends a message: a binary one unless it is a str, or as binary says."""
        if binary is None:
            binary = not isinstance(message, str)
        try:
            self.send_frame(message, _BINARY if binary else _TEXT)
        except OSError:
            self.current_app.on_close("Socket is dead")
            raise

    def send_frame(self, message: Any, opcode: int) -> None:
        """Sends a frame, which is a whole message."""
        self._check_open()
        self._accept()
        if isinstance(message, str):
            message = message.encode("utf-8")
        elif opcode in (_TEXT, _PING) and not isinstance(message, (bytes, bytearray, memoryview)):
            message = str(message or "").encode("utf-8")
        message = bytes(message)
        try:
            self._handshake.socket.send(_frame_header(opcode, len(message)) + message)
        except OSError:
            self.dead = True
            raise error_class()("Socket is dead") from None

    def close(self, code: int = NORMAL, message: Any = b"") -> None:
        """Closes the connection with a code and a reason."""
        if self.closed:
            self.current_app.on_close("Connection is already closed")
            return
        reason = message.encode("utf-8") if isinstance(message, str) else bytes(message or b"")
        try:
            self.send_frame(struct.pack("!H", code) + reason[:123], _CLOSE)
        except OSError:
            pass  # it has ended without that
        finally:
            self._end()

    def _end(self) -> None:
        self.closed = True
        self.environ = None

    def gone(self) -> None:
        """Is called when the app is done."""
        self._end()
        self.handler.server.clients.pop(self.handler.client_address, None)


def _frame_header(opcode: int, size: int) -> bytes:
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, size)
    if size < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 126, size)
    return struct.pack("!BBQ", 0x80 | opcode, 127, size)


_servers: Dict[int, Server] = {}


def _server(worker: Any) -> Server:
    """Returns what all connections of a worker have in common."""
    if worker.pid not in _servers:
        _servers.clear()
        _servers[worker.pid] = Server(worker.wsgi, worker.log.error_log)
    return _servers[worker.pid]
