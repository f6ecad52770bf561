"""The same as test_speed_same.py for ASGI."""

import asyncio
import marshal
import random
import unittest
from http import HTTPStatus
from typing import Any, List

from indrik import asgi, protocol, wire
from indrik.wire import FORMAT

from .support.master import SPEED
from .support.messages import LIMIT
from .support.speed import Worker, maybe, strict_all, text, together

if SPEED:
    import indrik_speed

    from indrik import asgispeed

ROUNDS = 150
FRONT = 2


def start(**more):
    return {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b"), (b"c", b"")], **more}


def body(**more):
    return {"type": "http.response.body", "body": b"body", **more}


class Message(dict):  # type: ignore[type-arg]
    """No exact dict."""


# What apps of ASGI send, by the number in the first byte of the body.
SENDS: List[List[Any]] = [
    [start(), body()],
    [start(), {"type": "http.response.body"}],
    [{"type": "http.response.start", "status": 204}, body(body=b"")],
    [start(status=HTTPStatus.OK), body()],
    [start(status=True), body()],
    [start(status=99), body()],
    [start(status=1000), body()],
    [start(status=1 << 70), body()],
    [start(status="200"), body()],
    [start(headers=[[b"a", b"b"]]), body()],
    [start(headers=((b"a", b"b"),)), body()],
    [start(headers=[(b"a", bytearray(b"b"))]), body()],
    [start(headers=[("a", b"b")]), body()],
    [start(headers=[(b"a", b"b", b"c")]), body()],
    [start(headers=None), body()],
    [start(headers=[(b"a", b"x" * 70000), (b"b", b"x" * 70000)]), body()],
    [start(headers=[(b"a", b"x" * 70000)]), body(body=b"y" * 65536)],
    [start(), body(more_body=True), body(more_body=False)],
    [start(), body(more_body=1), body()],
    [start(), body(body=memoryview(b"view"))],
    [start(), body(body="text")],
    [start(), body(body=b"x" * 4095)],
    [start(), body(body=b"x" * 4096)],
    [start(), body(body=b"x" * 65536)],
    [start(), body(body=b"x" * 65537)],
    [start(), body(body=b"x" * 300000)],
    [start(), start(), body()],
    [body()],
    [start()],
    [],
    [start(), body(), body(), start()],
    [start(trailers=True), body(), {"type": "http.response.trailers", "headers": [(b"t", b"u")]}],
    [start(trailers=0), body()],
    [Message(start()), Message(body())],
    [{"type": b"http.response.start"}],
    [{"status": 200}],
    [{}],
    [{"type": "http.response.start"}],
    [{"type": "http.response.early_hint", "links": [b"</a>"]}, start(), body()],
]


@unittest.skipUnless(SPEED, "indrik-speed is not there")
class ASGI(unittest.TestCase):
    def run_in(self, messages, speed):
        seen: List[Any] = []

        async def app(scope, receive, send):
            first = await receive()
            seen.append((sorted(scope.items(), key=repr), list(scope), first, type(scope["client"])))
            number = first["body"][0] if first["body"] else 0
            scope["headers"].append((b"the app's", b"own"))
            scope["state"]["x"] = scope["extensions"]["y"] = scope["asgi"]["z"] = number
            if number % 3 == 1:
                await asyncio.sleep(0)
            try:
                for message in SENDS[number % len(SENDS)]:
                    answer = await send(message)
                    seen.append(answer)
            except Exception as e:
                seen.append(repr(e))
                raise
            if number % 5 == 1:
                seen.append(await asyncio.wait_for(receive(), LIMIT) if number % 2 else None)

        class Memory(Worker):
            def recvmsg_into(self, buffers, size, flags):
                if not self.messages:
                    raise BlockingIOError
                return super().recvmsg_into(buffers, size, flags)

        worker: Any = Memory(app, [], speed, asgi_lifespan="off", asgi_loop="asyncio")
        worker.scoreboard[protocol.SCOREBOARD_FRONT] = FRONT + 1
        server = asgi.ASGIServer(worker) if speed is None else asgispeed.server(worker)
        server.start()
        try:
            server.limit = worker.limit
            server.state["shared"] = 1
            for message in messages:
                worker.messages = [message]
                server.read()
                for _ in range(100):
                    server.loop.run_until_complete(asyncio.sleep(0))
                    server.response_buffer.clear()
                    for conversation in list(server.requests.values()):
                        conversation.on_credit(1 << 20)
                    server.wake_buffer_waiter()
                    if not server.requests and not server.out:
                        break
                for conversation in list(server.requests.values()):
                    conversation.on_gone()
                    server.loop.run_until_complete(asyncio.sleep(0))
            worker.scoreboard[protocol.SCOREBOARD_LAG] = worker.scoreboard[protocol.SCOREBOARD_MOST_LAG] = 0
            words = worker.scoreboard.tobytes()[: 8 * wire.slot_word(0, protocol.SCOREBOARD_BUFFER)]
            self.assertEqual(server.state, {"shared": 1})
            return seen, b"".join(worker.sent), worker.log.lines, words, worker.nr, worker.reached
        finally:
            server._close()

    def request(self, choose, number, content, front=FRONT, kind=protocol.EVENT_REQUEST):
        rest = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "headers": [(b"host", b"x")] * choose.randrange(3),
            "extensions": {},
            "big": "b" * choose.choice([1, 5000]),
            "scheme": choose.choice("ab"),
        }
        client = b"(\2\0\0\0" + text(choose) + marshal.dumps(choose.randrange(65536), FORMAT)
        return (
            b"(\4\0\0\0"
            + marshal.dumps(kind, FORMAT)
            + marshal.dumps(front << 24 | number, FORMAT)
            + b"(\6\0\0\0"
            + marshal.dumps(marshal.dumps(rest, FORMAT), FORMAT)
            + text(choose)
            + text(choose)
            + marshal.dumps(b"/raw", FORMAT)
            + marshal.dumps(b"q" * choose.randrange(3), FORMAT)
            + maybe(choose, client)
            + marshal.dumps(content, FORMAT)
        )

    def same(self, messages, hint):
        wanted, got = self.run_in(messages, None), self.run_in(messages, indrik_speed)
        for a, b in zip(got, wanted):
            self.assertEqual(a, b, hint)
        strict_all(got[1])

    def test_every_kind(self):
        for number in range(len(SENDS) * 2):
            choose = random.Random(number)
            self.same([together([self.request(choose, n + 1, bytes([number])) for n in range(2)])], number)

    def test_same(self):
        choose = random.Random(2)
        for i in range(ROUNDS):
            messages = []
            for j in range(3):
                requests = []
                for n in range(choose.choice([1, 1, 2, 8])):
                    front = FRONT if choose.random() < 0.95 else FRONT + 1
                    content = bytes([choose.randrange(256)]) if choose.random() < 0.9 else b""
                    requests.append(self.request(choose, 1 + 100 * j + n, content, front))
                    if choose.random() < 0.1:
                        requests.append(marshal.dumps((protocol.EVENT_PING, 1, 0, None), FORMAT))
                messages.append(together(requests))
            self.same(messages, i)
