"""Tornado applications, as ASGI has apps.

Tornado brings a server of its own, for sockets of its own, of which there are
none here. But an Application asks for no more than a connection object to
answer to (tornado.httputil.HTTPConnection), and that can be one of ASGI: so it
runs in the same worker as ASGI apps do, on the same loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque

from tornado import gen, httputil, web, websocket
from tornado.iostream import StreamClosedError

from .loader import AppImportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Awaitable, Callable, Deque, Dict, Optional, Tuple

    from .conversation import Message, Receive, Scope, Send


def wrap(app: Any, spec: str) -> TornadoApp:
    """Returns a Tornado application as an app of ASGI."""
    if not isinstance(app, httputil.HTTPServerConnectionDelegate):
        raise AppImportError(
            "'%s' is no tornado.web.Application: use the worker class gthread for WSGI, asgi for ASGI." % spec
        )
    return TornadoApp(app)


class TornadoApp:
    def __init__(self, app: httputil.HTTPServerConnectionDelegate) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await TornadoConnection(scope, receive, send).run(self.app)
        elif scope["type"] == "websocket":
            await TornadoWebSocket(scope, receive, send).run(self.app)
        else:
            raise ValueError("Tornado has no %s" % scope["type"])

    def disarm(self, back: Callable[..., None]) -> None:
        """Has the messages of a handler call back: nobody else would get them in a fork of the
        worker."""
        setattr(TornadoConnection, "put", back)  # noqa: B010 - mypy takes no assignment
        setattr(TornadoConnection, "finish", back)  # noqa: B010


class ClientContext:
    """The client's address and protocol, as HTTPServerRequest asks for them."""

    def __init__(self, scope: Scope) -> None:
        self.remote_ip = scope["client"][0] if scope.get("client") else None
        self.protocol = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])

    def __str__(self) -> str:
        return str(self.remote_ip)


class TornadoConnection(httputil.HTTPConnection):
    """A request, and the response of its handler, which may write at any time; run() sends
    that."""

    prefix = "http.response."

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.context = ClientContext(scope)
        self.out: Deque[Tuple[Dict[str, Any], asyncio.Future[None]]] = deque()  # messages, each with a future
        self.more: Optional[asyncio.Future[None]] = None  # while there are no messages
        self.finished = self.closed = False
        self.on_close: Optional[Callable[[], object]] = None

    async def run(self, app: httputil.HTTPServerConnectionDelegate) -> None:
        delegate = app.start_request(self, self)
        helper: Optional[asyncio.Future[None]] = None
        try:
            event = await self.receive()
            if event["type"] != "http.request":
                return
            try:
                ready = delegate.headers_received(*self.head())
            except httputil.HTTPInputError as e:
                await self.refuse(e)
                return
            if ready is None and not event["more_body"]:
                if event["body"]:
                    delegate.data_received(event["body"])
                delegate.finish()
                await asyncio.sleep(0)  # a plain handler needs no more to answer
                if not self.finished:
                    helper = asyncio.ensure_future(self.watch())
            else:
                helper = asyncio.ensure_future(self.read(delegate, ready, event))
            await self.deliver()
        finally:
            if helper is not None:
                helper.cancel()
            self.close()

    def head(self) -> Tuple[httputil.RequestStartLine, httputil.HTTPHeaders]:
        scope = self.scope
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        headers = httputil.HTTPHeaders()
        for name, value in scope["headers"]:
            headers.add(name.decode("latin-1"), value.decode("latin-1"))
        version = scope["http_version"]
        line = httputil.RequestStartLine(
            scope.get("method", "GET"), target, "HTTP/" + (version if "." in version else version + ".0")
        )
        return line, headers

    async def read(
        self, delegate: httputil.HTTPMessageDelegate, ready: Optional[Awaitable[None]], event: Message
    ) -> None:
        """Feeds a handler that takes its body in parts, or whose body comes in parts."""
        try:
            if ready is not None:
                await ready
            while event["type"] == "http.request":
                if event["body"]:
                    taken = delegate.data_received(event["body"])
                    if taken is not None:
                        await taken
                if not event["more_body"]:
                    delegate.finish()
                    await self.watch()
                    return
                event = await self.receive()
            delegate.on_connection_close()
        except httputil.HTTPInputError as e:
            await self.refuse(e)
            self.finished = True
        self.close()

    async def watch(self) -> None:
        """Waits until the client has gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.close()

    async def refuse(self, error: Exception) -> None:
        await self.send({"type": self.prefix + "start", "status": 400, "headers": []})
        await self.send({"type": self.prefix + "body", "body": str(error).encode(), "more_body": False})

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if not self.finished and self.on_close is not None:
            callback, self.on_close = self.on_close, None
            callback()
        while self.out:
            _fail(self.out.popleft()[1])
        self.wake()

    def wake(self) -> None:
        if self.more is not None and not self.more.done():
            self.more.set_result(None)

    async def deliver(self) -> None:
        """Sends the messages of the handler until the last one."""
        while True:
            while self.out and not self.closed:
                message, future = self.out.popleft()
                try:
                    await self.send(message)
                except OSError:  # the client has gone
                    _fail(future)
                    return
                if not future.done():
                    future.set_result(None)
            if self.finished or self.closed:
                return
            self.more = asyncio.get_running_loop().create_future()
            await self.more

    def put(self, message: Dict[str, Any]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.closed:
            _fail(future)
        else:
            self.out.append((message, future))
            self.wake()
        return future

    # The interface of httputil.HTTPConnection, for handlers.

    def write_headers(
        self,
        start_line: Any,
        headers: httputil.HTTPHeaders,
        chunk: Optional[bytes] = None,
    ) -> asyncio.Future[None]:
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.get_all()]
        future = self.put({"type": self.prefix + "start", "status": start_line.code, "headers": pairs})
        return self.write(chunk) if chunk else future

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        return self.put({"type": self.prefix + "body", "body": bytes(chunk), "more_body": True})

    def finish(self) -> None:
        if self.out and self.out[-1][0]["type"] == self.prefix + "body":
            self.out[-1][0]["more_body"] = False
        else:
            self.put({"type": self.prefix + "body", "body": b"", "more_body": False})
        self.finished = True
        self.wake()

    def set_close_callback(self, callback: Optional[Callable[[], object]]) -> None:
        self.on_close = callback

    def set_max_body_size(self, size: float) -> None:
        """Does nothing: the front limits bodies."""

    set_body_timeout = set_max_body_size

    def detach(self) -> Any:
        raise web.HTTPError(501, "the connection belongs to the front: it cannot be detached")


class TornadoWebSocket(TornadoConnection):
    """A WebSocket connection; a response to its handshake denies it."""

    prefix = "websocket.http.response."

    async def run(self, app: httputil.HTTPServerConnectionDelegate) -> None:
        delegate = app.start_request(self, self)
        await self.receive()  # websocket.connect
        line, headers = self.head()
        # HTTP/2 has other words for it (RFC 8441 section 4).
        headers["Upgrade"], headers["Connection"] = "websocket", "Upgrade"
        try:
            delegate.headers_received(line, headers)
            delegate.finish()
            await self.deliver()
        except httputil.HTTPInputError as e:
            await self.refuse(e)
        finally:
            self.close()

    def detach(self) -> Any:
        return None  # WebSocketHandler does it where it begins to talk


class TornadoWebSocketProtocol(websocket.WebSocketProtocol):
    """The protocol of a WebSocketHandler. Frames, pings and the closing handshake are the
    front's business."""

    def __init__(self, handler: websocket.WebSocketHandler) -> None:
        super().__init__(handler)
        self.connection: Any = handler.request.connection
        self.subprotocol: Optional[str] = None

    @property
    def selected_subprotocol(self) -> Optional[str]:
        return self.subprotocol

    async def accept_connection(self, handler: websocket.WebSocketHandler) -> None:
        offered = handler.request.headers.get("Sec-WebSocket-Protocol", "")
        self.subprotocol = handler.select_subprotocol([word.strip() for word in offered.split(",") if word.strip()])
        # The default headers of a response have no place in a handshake.
        for name in ("Server", "Content-Type", "Date"):
            handler.clear_header(name)
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in handler._headers.get_all()]
        if hasattr(handler, "_new_cookie"):
            pairs += [
                (b"Set-Cookie", cookie.OutputString(None).encode("latin-1")) for cookie in handler._new_cookie.values()
            ]
        handler.set_status(101)
        handler._detach_stream()
        self.connection.put({"type": "websocket.accept", "subprotocol": self.subprotocol, "headers": pairs})
        await self.run(handler.open, *handler.open_args, **handler.open_kwargs)
        await self._receive_frame_loop()

    async def _receive_frame_loop(self) -> None:
        while True:
            event = await self.connection.receive()
            if event["type"] != "websocket.receive":
                break
            if not self.is_closing():
                text = event.get("text")
                await self.run(self.handler.on_message, event["bytes"] if text is None else text)
        self.client_terminated = self.server_terminated = True
        self.handler.on_ws_connection_close(event.get("code"), event.get("reason") or None)
        self.connection.finished = True
        self.connection.wake()

    def write_message(self, message: Any, binary: bool = False) -> asyncio.Future[None]:
        if self.is_closing():
            raise websocket.WebSocketClosedError
        if binary:
            content: Dict[str, Any] = {"bytes": message.encode() if isinstance(message, str) else bytes(message)}
        else:
            content = {"text": message if isinstance(message, str) else bytes(message).decode()}
        sent: asyncio.Future[None] = self.connection.put(dict(content, type="websocket.send"))
        return sent

    def close(self, code: Optional[int] = None, reason: Optional[str] = None) -> None:
        if not self.server_terminated:
            self.server_terminated = True
            self.connection.put({"type": "websocket.close", "code": code or 1000, "reason": reason or ""})

    async def run(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Calls a function of the handler. An exception ends the connection. (The
        _run_callback of Tornado before 6.6 wants the socket for that.)"""
        try:
            result = callback(*args, **kwargs)
            if result is not None:
                await gen.convert_yielded(result)
        except (Exception, asyncio.CancelledError):
            self.handler.log_exception(*sys.exc_info())
            self.close(1011)

    def is_closing(self) -> bool:
        return self.client_terminated or self.server_terminated

    def write_ping(self, data: bytes) -> None:
        """Does nothing: the front asks by itself whether the client is there."""

    def start_pinging(self) -> None:
        pass

    def set_nodelay(self, value: bool) -> None:
        pass

    def _process_server_headers(self, key: Any, headers: httputil.HTTPHeaders) -> None:
        raise NotImplementedError  # of clients


def _fail(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(StreamClosedError())
        future.exception()  # it need not be asked for


def _protocol_of(handler: websocket.WebSocketHandler) -> Optional[websocket.WebSocketProtocol]:
    if isinstance(handler.request.connection, TornadoWebSocket):
        return TornadoWebSocketProtocol(handler)
    return _protocol_of_tornado(handler)


_protocol_of_tornado = websocket.WebSocketHandler.get_websocket_protocol
websocket.WebSocketHandler.get_websocket_protocol = _protocol_of  # type: ignore[method-assign, assignment]
