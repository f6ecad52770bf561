"""A WebSocket connection as the app sees it: indrik.websocket."""

import asyncio
import unittest
from marshal import dumps, loads

from indrik import websocket
from indrik.protocol import (
    PART_COST,
    REPLY_ACCEPT,
    REPLY_CHUNK,
    REPLY_CLOSE,
    REPLY_CREDIT,
    REPLY_END,
    REPLY_ERROR,
    REPLY_MESSAGE,
    REPLY_START,
    RESPONSE_WINDOW,
)
from indrik.websocket import MESSAGE_WINDOW
from indrik.wire import FORMAT, ClientGone

from .support import LIMIT


class Server:
    """What a conversation needs of its server: keeps what is said."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.backlog = ()
        self.expired = self.traced = False
        self.said = []
        self.requests = {}
        self.stopping = False
        self.graceful = 30

    def put(self, data):
        while data:
            message = loads(data)
            self.said.append(message)
            # Where the next message begins: this one, written again, is as long.
            data = data[len(dumps(message, FORMAT)) :]

    def take(self):
        said, self.said = self.said, []
        return said


class Log:
    def __init__(self):
        self.errors = []

    def error(self, text, *args):
        self.errors.append(text % args)

    exception = error


def made(*subprotocols):
    socket = websocket.WebSocketConversation()
    socket.server = Server()
    socket.log = Log()
    socket.id = 7
    socket.server.requests[7] = socket
    socket.offered = subprotocols
    socket.events = []
    return socket, socket.server


async def opened():
    socket, server = made()
    await socket.receive()
    await socket.send({"type": "websocket.accept"})
    server.take()
    return socket, server


async def ran(app, before=None, *subprotocols):
    """Runs an app to its end, and returns the connection and all that was said."""
    socket, server = made()
    task = socket.task = asyncio.ensure_future(
        socket.run(app, {"type": "websocket", "subprotocols": list(subprotocols)})
    )
    await settle()
    if before:
        before(socket)
    await asyncio.wait([task])
    assert not server.requests
    return socket, server.take()


def case(test):
    def run(self):
        asyncio.run(asyncio.wait_for(test(self), LIMIT))

    run.__name__ = test.__name__
    return run


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


class TestHandshake(unittest.TestCase):
    @case
    async def test_accept(self):
        socket, server = made("a", "b")
        self.assertEqual(await socket.receive(), {"type": "websocket.connect"})
        await socket.send({"type": "websocket.accept", "subprotocol": "b", "headers": [[b"x", bytearray(b"y")]]})
        self.assertEqual(server.take(), [(REPLY_ACCEPT, 7, "b", [(b"x", b"y")]), (REPLY_CREDIT, 7, MESSAGE_WINDOW)])
        with self.assertRaises(RuntimeError):
            await socket.send({"type": "websocket.accept"})

    @case
    async def test_subprotocol_nobody_offered(self):
        socket, server = made("a")
        with self.assertRaisesRegex(ValueError, "subprotocol 'c'"):
            await socket.send({"type": "websocket.accept", "subprotocol": "c"})
        self.assertEqual(server.take(), [])

    @case
    async def test_refused(self):
        async def app(scope, receive, send):
            await receive()
            await send({"type": "websocket.close", "code": 4000})
            self.last = await receive()

        _, said = await ran(app)
        self.assertEqual(said, [(REPLY_CLOSE, 7, 4000, b"")])
        self.assertEqual(self.last, {"type": "websocket.disconnect", "code": 1006, "reason": ""})

    @case
    async def test_denied(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"a", b"b")]})
            with self.assertRaises(RuntimeError):
                await send({"type": "websocket.accept"})
            await send({"type": "websocket.http.response.body", "body": b"no", "more_body": True})
            await send({"type": "websocket.http.response.body"})

        _, said = await ran(app)
        self.assertEqual(said, [(REPLY_START, 7, 401, [(b"a", b"b")], b""), (REPLY_CHUNK, 7, b"no"), (REPLY_END, 7)])

    @case
    async def test_denied_by_half(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.http.response.start", "status": 401})

        _, said = await ran(app)
        self.assertEqual(said[1:], [(REPLY_ERROR, 7)])

    @case
    async def test_app_ends_without_an_answer(self):
        async def returns(scope, receive, send):
            pass

        async def raises(scope, receive, send):
            raise ValueError("no")

        socket, said = await ran(returns)
        self.assertEqual(said, [(REPLY_CLOSE, 7, 1000, b"")])
        self.assertRegex(socket.log.errors[0], "without accepting")
        socket, said = await ran(raises)
        self.assertEqual(said, [(REPLY_ERROR, 7)])

    @case
    async def test_client_leaves_before_the_answer(self):
        socket, _ = made()
        socket.on_gone()
        self.assertEqual(await socket.receive(), {"type": "websocket.connect"})
        self.assertEqual((await socket.receive())["code"], 1006)
        with self.assertRaises(ClientGone):
            await socket.send({"type": "websocket.accept"})


class TestMessages(unittest.TestCase):
    @case
    async def test_receive(self):
        socket, _ = await opened()
        socket.on_message("a", 0)
        socket.on_message("b", 1)
        socket.on_message("", 0)
        socket.on_message(b"c", 1)
        socket.on_message(b"d", 0)
        got = [await socket.receive() for _ in range(3)]
        self.assertEqual([m.get("text", m.get("bytes")) for m in got], ["a", "b", b"cd"])
        self.assertEqual({m["type"] for m in got}, {"websocket.receive"})
        waiting = asyncio.ensure_future(socket.receive())
        await settle()
        self.assertFalse(waiting.done())
        socket.on_message("later", 0)
        self.assertEqual((await waiting)["text"], "later")

    @case
    async def test_send(self):
        socket, server = await opened()
        await socket.send({"type": "websocket.send", "text": "h\u00e9", "bytes": None})
        await socket.send({"type": "websocket.send", "bytes": bytearray(b"\xff")})
        self.assertEqual(
            server.take(), [(REPLY_MESSAGE, 7, 1, "h\u00e9".encode(), 0), (REPLY_MESSAGE, 7, 0, b"\xff", 0)]
        )
        with self.assertRaises(ValueError):
            await socket.send({"type": "websocket.send"})
        with self.assertRaises(UnicodeEncodeError):
            await socket.send({"type": "websocket.send", "text": "\ud800"})

    @case
    async def test_send_waits_for_credit(self):
        socket, server = await opened()
        piece = b"x" * 1000
        sent = 0
        while socket.window > 0:
            await socket.send({"type": "websocket.send", "bytes": piece})
            sent += 1
        self.assertGreaterEqual(sent * (1000 + PART_COST), RESPONSE_WINDOW)
        waiting = [asyncio.ensure_future(socket.send({"type": "websocket.send", "bytes": piece})) for _ in range(3)]
        await settle()
        self.assertEqual(len(server.take()), sent)
        socket.on_credit(1 - socket.window)
        await settle()
        self.assertEqual(len(server.take()), 1)
        socket.on_credit(1 << 20)
        await asyncio.gather(*waiting)

    @case
    async def test_large_message_is_not_mixed_with_others(self):
        socket, server = await opened()
        large = b"".join(b"%07d\n" % i for i in range(100000))
        tasks = [asyncio.ensure_future(socket.send({"type": "websocket.send", "bytes": large}))]
        await settle()
        tasks.append(asyncio.ensure_future(socket.send({"type": "websocket.send", "text": "small"})))
        said = []
        while not all(task.done() for task in tasks):
            await settle()
            said += server.take()
            socket.on_credit(100000)
        said += server.take()
        self.assertTrue(all(len(m[3]) <= websocket.MAX_PART for m in said))
        self.assertEqual(b"".join(m[3] for m in said[:-1]), large)
        self.assertEqual([m[4] for m in said], [1] * (len(said) - 2) + [0, 0])
        self.assertEqual(said[-1][2:4], (1, b"small"))

    @case
    async def test_send_cancelled_in_the_middle(self):
        socket, server = await opened()
        task = asyncio.ensure_future(socket.send({"type": "websocket.send", "bytes": bytes(1 << 20)}))
        await settle()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(server.said[-1], (REPLY_CLOSE, 7, 1011, b""))

    @case
    async def test_credit_for_the_client(self):
        """It is given back as the app takes messages, and for parts of one that
        is not complete."""
        socket, server = await opened()
        for _ in range(4):
            socket.on_message(b"x" * 10000, 0)
        self.assertEqual(server.take(), [])
        for _ in range(4):
            self.assertEqual(server.take(), [])
            await socket.receive()
        self.assertEqual(server.take(), [(REPLY_CREDIT, 7, 4 * (10000 + PART_COST))])
        for _ in range(5):
            socket.on_message("\u00e9" * 5000, 1)
        self.assertEqual(server.take(), [(REPLY_CREDIT, 7, 2 * (10000 + PART_COST))] * 2)

    @case
    async def test_waiting_receive_survives_a_cancelled_one(self):
        socket, _ = await opened()
        first, second = (asyncio.ensure_future(socket.receive()) for _ in range(2))
        await settle()
        first.cancel()
        socket.on_message("a", 0)
        self.assertEqual((await second)["text"], "a")


class TestEnd(unittest.TestCase):
    @case
    async def test_client_closes(self):
        socket, server = await opened()
        socket.on_message("before", 0)
        socket.on_closed(4001, "bye")
        self.assertEqual((await socket.receive())["text"], "before")
        for _ in range(2):
            self.assertEqual(await socket.receive(), {"type": "websocket.disconnect", "code": 4001, "reason": "bye"})
        with self.assertRaises(ClientGone):
            await socket.send({"type": "websocket.send", "text": "x"})
        await socket.send({"type": "websocket.close"})
        self.assertEqual(server.take(), [])
        socket.unfinished()
        self.assertEqual(server.take(), [(REPLY_CLOSE, 7, 1000, b"")])

    @case
    async def test_client_closes_while_the_app_waits(self):
        socket, _ = await opened()
        receiving = asyncio.ensure_future(socket.receive())
        sending = asyncio.ensure_future(socket.send({"type": "websocket.send", "bytes": bytes(1 << 20)}))
        await settle()
        socket.on_closed(1001, "")
        self.assertEqual((await receiving)["code"], 1001)
        with self.assertRaises(OSError):
            await sending

    @case
    async def test_app_closes(self):
        socket, server = await opened()
        await socket.send({"type": "websocket.close", "code": 3456, "reason": "so"})
        self.assertEqual(server.take(), [(REPLY_CLOSE, 7, 3456, b"so")])
        self.assertEqual(await socket.receive(), {"type": "websocket.disconnect", "code": 3456, "reason": "so"})
        for event in ({"type": "websocket.send", "text": "x"}, {"type": "websocket.close"}):
            with self.assertRaisesRegex(RuntimeError, "has ended"):
                await socket.send(event)

    @case
    async def test_codes(self):
        for code in (None, 1000, 1003, 1011, 1014, 3000, 4999):
            socket, server = await opened()
            await socket.send({"type": "websocket.close", "code": code, "reason": None})
            self.assertEqual(server.take(), [(REPLY_CLOSE, 7, code or 1000, b"")])
        for code in (999, 1004, 1005, 1006, 1015, 2999, 5000, "1000"):
            socket, server = await opened()
            with self.assertRaises(ValueError):
                await socket.send({"type": "websocket.close", "code": code})

    @case
    async def test_long_reason(self):
        socket, server = await opened()
        await socket.send({"type": "websocket.close", "reason": "\u20ac" * 100})
        self.assertEqual(server.take()[0][3], ("\u20ac" * 41).encode())

    @case
    async def test_app_ends(self):
        async def returns(scope, receive, send):
            await send({"type": "websocket.accept"})

        async def raises(scope, receive, send):
            await send({"type": "websocket.accept"})
            raise ValueError("no")

        socket, said = await ran(returns)
        self.assertEqual(said[2:], [(REPLY_CLOSE, 7, 1000, b"")])
        socket, said = await ran(raises)
        self.assertEqual(said[2:], [(REPLY_ERROR, 7)])
        self.assertEqual(len(socket.log.errors), 1)

    @case
    async def test_client_leaves(self):
        """What send() raises then is no error of the app, and the app may take its
        time."""

        async def app(scope, receive, send):
            await send({"type": "websocket.accept"})
            await receive()
            self.end = await receive()
            await asyncio.sleep(0.05)
            await send({"type": "websocket.send", "text": "x"})

        socket, said = await ran(app, lambda socket: socket.on_closed(4000, "bye"))
        self.assertEqual(self.end["code"], 4000)
        self.assertEqual(said[2:], [(REPLY_ERROR, 7)])
        self.assertEqual(socket.log.errors, [])

    @case
    async def test_grace_is_over(self):
        async def app(scope, receive, send):
            await send({"type": "websocket.accept"})
            while True:
                await receive()

        def expire(socket):
            self.assertTrue(socket.stays())
            socket.server.expired = True
            socket.task.cancel()

        socket, said = await ran(app, expire)
        self.assertEqual(said[2:], [(REPLY_CLOSE, 7, 1012, b"service restart")])
        self.assertFalse(socket.stays())

    @case
    async def test_unknown_events(self):
        socket, _ = await opened()
        for kind in ("http.response.start", "websocket.http.response.start", "websocket.receive"):
            with self.assertRaises(RuntimeError):
                await socket.send({"type": kind})


if __name__ == "__main__":
    unittest.main()
