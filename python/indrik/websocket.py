"""A WebSocket connection, as ASGI has it:
https://asgi.readthedocs.io/en/latest/specs/www.html#websocket.

Frames, pings and the closing handshake are the front's business: here whole
messages come and go.
"""

from marshal import dumps

from . import asgivalues as values
from .conversation import Conversation
from .exchange import ACCEPT, CHUNK, CLOSE, COPIED, END, FORMAT, MESSAGE, START, WANT, ClientGone

# How many bytes of messages may be on their way to the app. In both directions a
# part of a message counts its bytes and PART_COST more.
ROOM = 64 << 10
PART_COST = 64

# The largest part of a message to the client, in bytes.
MAX_PART = 100 << 10

# The room is given back to the front in pieces of so many bytes at least.
_WANT_AT = ROOM // 4

NO_STATUS, ABNORMAL, SERVICE_RESTART, INTERNAL_ERROR = 1005, 1006, 1012, 1011

# What the app has done: nothing yet; it answers with a response instead; it has
# accepted.
ASKED, DENIED, OPEN = range(3)
_PHASES = {ASKED: "not accepted yet", DENIED: "being denied", OPEN: "open"}

_GONE = "the WebSocket connection has ended"


class Socket(Conversation):
    phase = ASKED
    status = None  # of the response that denies the handshake
    headers = ()
    offered = ()  # subprotocols
    connected = False  # receive() has said so
    end = None  # the event that says that the connection has ended
    parts = None  # those that came of a message that is not complete
    unpaid = 0  # room that the front is to be given back
    sending = False  # a message in several parts

    def run(self, app, scope):
        # An app may do with its scope what it likes.
        self.offered = tuple(scope["subprotocols"])
        self.events = []
        return super().run(app, scope)

    # Messages from the front

    def on_message(self, data, more):
        binary = type(data) is bytes
        self.unpaid += (len(data) if binary or data.isascii() else len(data.encode())) + PART_COST
        if more or self.parts:
            if self.parts is None:
                self.parts = []
            self.parts.append(data)
            if more:
                self.pay()
                return
            data = (b"" if binary else "").join(self.parts)
            self.parts = None
        if not self.done:
            self.events.append({"type": "websocket.receive", "bytes" if binary else "text": data})
            self.wake_readers()

    def on_closed(self, code, reason):
        self.ended(code, reason)

    def on_gone(self, a=None, b=None):
        self.ended(ABNORMAL, "")

    def ended(self, code, reason):
        """Nothing can be sent any more. The task is not cancelled: an app has
        often something to do when a client leaves."""
        if self.end is None:
            self.end = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self.gone = True
        self.wake_readers()
        self.wake_writers()
        self.bound()

    def bound(self):
        """Bounds what the app does after a connection that has stayed for longer than
        graceful_timeout."""
        server = self.server
        if server.expired and self.timer is None:
            self.timer = server.loop.call_later(server.graceful, self.cancel)

    def pay(self):
        """Lets the front send more, unless the app has something to take first."""
        if self.unpaid >= _WANT_AT and not self.events and not self.gone and not self.done:
            self.server.put(dumps((WANT, self.number, self.unpaid), FORMAT))
            self.unpaid = 0

    # Receiving

    async def receive(self):
        if not self.connected:
            self.connected = True
            return {"type": "websocket.connect"}
        while not self.events:
            if self.end is not None:
                return dict(self.end)
            await self.wait_reader()
        event = self.events.pop(0)
        self.pay()
        return event

    # Sending

    async def send(self, message):
        kind = message["type"]
        phase = self.phase
        if self.gone and not self.done and kind.startswith("websocket."):
            if kind != "websocket.close":  # which is what the app wants
                raise ClientGone(_GONE)
        elif self.done:
            raise RuntimeError("Unexpected ASGI message %r: %s" % (kind, _GONE))
        elif phase == OPEN and kind == "websocket.send":
            await self.message(message)
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

    def accept(self, message):
        subprotocol = message.get("subprotocol") or ""
        if subprotocol and subprotocol not in self.offered:
            raise ValueError(
                "subprotocol %r is not among those that the client offers: %r" % (subprotocol, self.offered)
            )
        headers = values.headers(message.get("headers") or ())
        data = dumps((ACCEPT, self.number, values.text(subprotocol), headers), FORMAT)
        data = values.head(data + dumps((WANT, self.number, ROOM), FORMAT))
        self.phase = OPEN
        self.status = 101
        self.server.put(data)

    def deny(self, message):
        status = values.status(message["status"])
        headers = values.headers(message.get("headers") or ())
        data = values.head(dumps((START, self.number, status, headers, b""), FORMAT))
        self.status, self.headers = status, headers
        self.phase = DENIED
        self.server.put(data)

    async def message(self, message):
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
            await self.turn()
        if len(data) <= MAX_PART:
            self.part(text, data, 0)
            return
        self.sending = True
        try:
            for at in range(0, len(data), MAX_PART):
                await self.await_window()
                self.part(text, data[at : at + MAX_PART], int(at + MAX_PART < len(data)))
        except BaseException:
            # Nothing else can follow half a message.
            self.say_close(INTERNAL_ERROR, "")
            raise
        finally:
            self.sending = False
            self.wake_writers()

    async def await_window(self):
        while self.window <= 0 and not self.gone and not self.done:
            await self.wait_writer()
        if self.server.backlog:
            await self.server.room()
        if self.done:
            raise RuntimeError(_GONE)
        if self.gone:
            raise ClientGone(_GONE)

    async def turn(self):
        """Waits until the message before is complete, and there is room."""
        while True:
            await self.await_window()
            if not self.sending and self.window > 0:
                return
            await self.wait_writer()

    def part(self, text, data, more):
        self.window -= len(data) + PART_COST
        self.server.put(dumps((MESSAGE, self.number, text, data, more), FORMAT))

    def close(self, message):
        code = message.get("code")
        if code is None:
            code = 1000
        if not may_close(code):
            raise ValueError("%r is no code that a WebSocket connection can be closed with" % (code,))
        self.say_close(code, message.get("reason") or "")

    def say_close(self, code, reason):
        """Says the last word about this connection, if it has not been said."""
        if self.done:
            return
        data = dumps((CLOSE, self.number, int(code), _cut(reason)), FORMAT)
        if self.end is None:
            accepted = self.phase == OPEN
            self.end = {
                "type": "websocket.disconnect",
                "code": code if accepted else ABNORMAL,
                "reason": reason if accepted else "",
            }
        self.finish(data)
        self.bound()

    async def denial(self, message):
        data = values.body(message.get("body") or b"")
        for at in range(0, len(data), COPIED):
            await self.await_window()
            part = data[at : at + COPIED]
            self.window -= len(part)
            self.server.put(dumps((CHUNK, self.number, part), FORMAT))
        if not message.get("more_body"):
            self.end = {"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""}
            self.finish(dumps((END, self.number), FORMAT))

    # The end of the task

    def unfinished(self):
        if self.phase == DENIED:
            self.log.error("ASGI app returned before the end of its response")
            self.fail()
            return
        if self.phase == ASKED and not self.gone:
            self.log.error("ASGI app returned without accepting or closing the WebSocket connection")
        self.say_close(1000, "")

    def stays(self):
        return self.phase == OPEN and not self.gone and not self.done

    def cancelled(self):
        if self.phase == OPEN and self.server.expired:
            self.say_close(SERVICE_RESTART, "service restart")
        super().cancelled()


def may_close(code):
    """Tells whether a close frame may have the code (RFC 6455 section 7.4)."""
    return isinstance(code, int) and (
        3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, NO_STATUS, ABNORMAL))
    )


def _cut(reason):
    """Returns reason as far as a close frame has room for it: 123 bytes of UTF-8."""
    data = str(reason).encode()
    if len(data) > 123:
        data = data[:123].decode(errors="ignore").encode()
    return data
