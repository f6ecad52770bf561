"""A WebSocket connection, as ASGI has it:
https://asgi.readthedocs.io/en/latest/specs/www.html#websocket.

Frames, pings and the closing handshake are the front's business: here whole
messages come and go.
"""

from __future__ import annotations

from marshal import dumps

from . import asgivalues as values
from .conversation import Conversation
from .protocol import (
    EVENT_CLOSED,
    EVENT_CREDIT,
    EVENT_GONE,
    EVENT_MESSAGE,
    PART_COST,
    REPLY_ACCEPT,
    REPLY_CHUNK,
    REPLY_CLOSE,
    REPLY_CREDIT,
    REPLY_END,
    REPLY_MESSAGE,
    REPLY_START,
)
from .wire import FORMAT, MAX_COPIED, ClientGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Coroutine, Dict, List, Optional, Sequence, Tuple

    from .conversation import ASGIApp, Message, Scope

# How many bytes of messages may be on their way to the app. In both directions a
# part of a message counts its bytes and PART_COST more.
MESSAGE_WINDOW = 64 << 10

# The largest part of a message to the client, in bytes.
MAX_PART = 100 << 10

# The front gets credit back in pieces of so many bytes at least.
_CREDIT_FROM = MESSAGE_WINDOW // 4

NO_STATUS, ABNORMAL, SERVICE_RESTART, INTERNAL_ERROR = 1005, 1006, 1012, 1011

# The answer of the app to the handshake: none yet; a response, which denies it; it has
# accepted.
ASKED, DENIED, OPEN = range(3)
_PHASES = {ASKED: "not accepted yet", DENIED: "being denied", OPEN: "open"}

_GONE = "the WebSocket connection has ended"


class WebSocketConversation(Conversation):
    phase = ASKED
    status: Optional[int] = None  # of the response to the handshake
    headers: Sequence[Tuple[bytes, bytes]] = ()
    offered: Tuple[str, ...] = ()  # subprotocols
    connected = False  # receive() has said so
    end: Optional[Dict[str, Any]] = None  # the event that says that the connection has ended
    parts: Optional[List[Any]] = None  # of a message that is not complete
    unacked = 0  # bytes of messages for which the front has not got its credit back
    sending = False  # a message in several parts
    events: List[Dict[str, Any]]

    def run(self, app: ASGIApp, scope: Scope) -> Coroutine[Any, Any, None]:
        # The app may change its scope later on.
        self.offered = tuple(scope["subprotocols"])
        self.events = []
        return super().run(app, scope)

    # Messages from the front

    def on_message(self, data: Any, more: int) -> None:
        binary = type(data) is bytes
        self.unacked += (len(data) if binary or data.isascii() else len(data.encode())) + PART_COST
        if more or self.parts:
            if self.parts is None:
                self.parts = []
            self.parts.append(data)
            if more:
                self.give_credit()
                return
            data = (b"" if binary else "").join(self.parts)
            self.parts = None
        if not self.done:
            self.events.append({"type": "websocket.receive", "bytes" if binary else "text": data})
            self.wake_readers()

    def on_closed(self, code: int, reason: str) -> None:
        self.ended(code, reason)

    def on_gone(self, a: object = None, b: object = None) -> None:
        self.ended(ABNORMAL, "")

    EVENTS = {
        EVENT_MESSAGE: on_message,
        EVENT_CREDIT: Conversation.on_credit,
        EVENT_CLOSED: on_closed,
        EVENT_GONE: on_gone,
    }

    def ended(self, code: int, reason: str) -> None:
        """Takes note that nothing can be sent any more. The task is not cancelled: apps often
        have something to do when a client leaves."""
        if self.end is None:
            self.end = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self.gone = True
        self.wake_readers()
        self.wake_writers()
        self.bound()

    def bound(self) -> None:
        """Limits the time that the app has after a connection that has stayed for longer than
        graceful_timeout."""
        server = self.server
        if server.expired and self.timer is None:
            self.timer = server.loop.call_later(server.graceful, self.cancel)

    def give_credit(self) -> None:
        """Lets the front send more, unless the app has messages to take first."""
        if self.unacked >= _CREDIT_FROM and not self.events and not self.gone and not self.done:
            self.server.put(dumps((REPLY_CREDIT, self.id, self.unacked), FORMAT))
            self.unacked = 0

    # Receiving

    async def receive(self) -> Message:
        if not self.connected:
            self.connected = True
            return {"type": "websocket.connect"}
        while not self.events:
            if self.end is not None:
                return dict(self.end)
            await self.wait_reader()
        event = self.events.pop(0)
        self.give_credit()
        return event

    # Sending

    async def send(self, message: Message) -> None:
        kind = message["type"]
        phase = self.phase
        if self.gone and not self.done and kind.startswith("websocket."):
            if kind != "websocket.close":  # the app gets the end that it wants
                raise ClientGone(_GONE)
        elif self.done:
            raise RuntimeError("Unexpected ASGI message %r: %s" % (kind, _GONE))
        elif phase == OPEN and kind == "websocket.send":
            await self.send_message(message)
        elif phase != DENIED and kind == "websocket.close":
            self.close(message)
        elif phase == ASKED and kind == "websocket.accept":
            self.accept(message)
        elif phase == ASKED and kind == "websocket.http.response.start":
            self.deny(message)
        elif phase == DENIED and kind == "websocket.http.response.body":
            await self.denial(message)
        else:
            raise RuntimeError("Unexpected ASGI message %r: the WebSocket connection is %s" % (kind, _PHASES[phase]))

    def accept(self, message: Message) -> None:
        subprotocol = message.get("subprotocol") or ""
        if subprotocol and subprotocol not in self.offered:
            raise ValueError(
                "subprotocol %r is not among those that the client offers: %r" % (subprotocol, self.offered)
            )
        headers = values.headers(message.get("headers") or ())
        data = dumps((REPLY_ACCEPT, self.id, values.text(subprotocol), headers), FORMAT)
        data = values.head(data + dumps((REPLY_CREDIT, self.id, MESSAGE_WINDOW), FORMAT))
        self.phase = OPEN
        self.status = 101
        self.server.put(data)

    def deny(self, message: Message) -> None:
        status = values.status(message["status"])
        headers = values.headers(message.get("headers") or ())
        data = values.head(dumps((REPLY_START, self.id, status, headers, b""), FORMAT))
        self.status, self.headers = status, headers
        self.phase = DENIED
        self.server.put(data)

    async def send_message(self, message: Message) -> None:
        data = message.get("bytes")
        text = 0
        if data is None:
            data = message.get("text")
            if data is None:
                raise ValueError("websocket.send has neither bytes nor text")
            data = values.text(data).encode()
            text = 1
        elif type(data) is not bytes:
            data = values.body(data)
        if self.window <= 0 or self.sending or self.server.backlog:
            await self.await_turn()
        if len(data) <= MAX_PART:
            self.send_part(text, data, 0)
            return
        self.sending = True
        try:
            for at in range(0, len(data), MAX_PART):
                await self.await_window()
                self.send_part(text, data[at : at + MAX_PART], int(at + MAX_PART < len(data)))
        except BaseException:
            # Nothing else can follow half a message.
            self.say_close(INTERNAL_ERROR, "")
            raise
        finally:
            self.sending = False
            self.wake_writers()

    async def await_window(self) -> None:
        while self.window <= 0 and not self.gone and not self.done:
            await self.wait_writer()
        if self.server.backlog:
            await self.server.await_drain()
        if self.done:
            raise RuntimeError(_GONE)
        if self.gone:
            raise ClientGone(_GONE)

    async def await_turn(self) -> None:
        """Waits until the message before is complete, and there is credit."""
        while True:
            await self.await_window()
            if not self.sending and self.window > 0:
                return
            await self.wait_writer()

    def send_part(self, text: int, data: bytes, more: int) -> None:
        self.window -= len(data) + PART_COST
        self.server.put(dumps((REPLY_MESSAGE, self.id, text, data, more), FORMAT))

    def close(self, message: Message) -> None:
        code = message.get("code")
        if code is None:
            code = 1000
        if not may_close(code):
            raise ValueError("%r is no code that a WebSocket connection can be closed with" % (code,))
        self.say_close(code, message.get("reason") or "")

    def say_close(self, code: int, reason: str) -> None:
        """Sends the last message about this connection, unless one was sent."""
        if self.done:
            return
        data = dumps((REPLY_CLOSE, self.id, int(code), _cut(reason)), FORMAT)
        if self.end is None:
            accepted = self.phase == OPEN
            self.end = {
                "type": "websocket.disconnect",
                "code": code if accepted else ABNORMAL,
                "reason": reason if accepted else "",
            }
        self.finish(data)
        self.bound()

    async def denial(self, message: Message) -> None:
        data = values.body(message.get("body") or b"")
        for at in range(0, len(data), MAX_COPIED):
            await self.await_window()
            part = data[at : at + MAX_COPIED]
            self.window -= len(part)
            self.server.put(dumps((REPLY_CHUNK, self.id, part), FORMAT))
        if not message.get("more_body"):
            self.end = {"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""}
            self.finish(dumps((REPLY_END, self.id), FORMAT))

    # The end of the task

    def unfinished(self) -> None:
        if self.phase == DENIED:
            self.log.error("ASGI app returned before the end of its response")
            self.fail()
            return
        if self.phase == ASKED and not self.gone:
            self.log.error("ASGI app returned without accepting or closing the WebSocket connection")
        self.say_close(1000, "")

    def stays(self) -> bool:
        return self.phase == OPEN and not self.gone and not self.done

    def cancelled(self) -> None:
        if self.phase == OPEN and self.server.expired:
            self.say_close(SERVICE_RESTART, "service restart")
        super().cancelled()


def may_close(code: Any) -> bool:
    """Reports whether a close frame may have the code (RFC 6455 section 7.4)."""
    return isinstance(code, int) and (
        3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, NO_STATUS, ABNORMAL))
    )


def _cut(reason: str) -> bytes:
    """Returns as much of reason as a close frame has room for: 123 bytes of UTF-8."""
    data = str(reason).encode()
    if len(data) > 123:
        data = data[:123].decode(errors="ignore").encode()
    return data
