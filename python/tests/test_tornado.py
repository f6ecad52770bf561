"""Tornado applications as apps of ASGI. Skipped without Tornado in the interpreter
that runs these tests."""

import asyncio
import importlib.util
import logging
import unittest

from .support import LIMIT

found = importlib.util.find_spec("tornado")
if found:
    from tornado import iostream, web, websocket

    from indrik import loader, tornadoapp

    class Hello(web.RequestHandler):
        def get(self, name="world"):
            self.add_header("X-Many", "a")
            self.add_header("X-Many", "b")
            self.write("hello %s from %s by %s" % (name, self.request.remote_ip, self.request.protocol))

        def post(self):
            self.write(self.get_argument("field") + str(len(self.request.body)))

    class Stream(web.RequestHandler):
        closed = None

        async def get(self):
            Stream.closed = asyncio.get_running_loop().create_future()
            for i in range(3):
                self.write("part%d" % i)
                await self.flush()
            if self.get_argument("hang", None):
                await asyncio.sleep(3600)

        def on_connection_close(self):
            Stream.closed.set_result(True)

    class Flood(web.RequestHandler):
        outcome = None

        async def get(self):
            Flood.outcome = asyncio.get_running_loop().create_future()
            try:
                while True:
                    self.write(b"x" * 1000)
                    await self.flush()
            except iostream.StreamClosedError as e:
                Flood.outcome.set_result(e)

    @web.stream_request_body
    class Upload(web.RequestHandler):
        def prepare(self):
            self.sizes = []
            self.request.connection.set_max_body_size(1 << 30)

        async def data_received(self, chunk):
            self.sizes.append(len(chunk))
            await asyncio.sleep(0)

        def put(self):
            self.write(repr(self.sizes))

    class Broken(web.RequestHandler):
        def get(self):
            raise RuntimeError("in the handler")

    class Chat(websocket.WebSocketHandler):
        left = None

        def select_subprotocol(self, offered):
            return "chat" if "chat" in offered else None

        def open(self, *args):
            self.write_message("open %s" % (self.selected_subprotocol,))

        async def on_message(self, message):
            if message == "bye":
                self.close(4001, "as you like")
            elif message == "raise":
                raise RuntimeError("in a callback")
            elif isinstance(message, bytes):
                await self.write_message(message[::-1], binary=True)
            else:
                await self.write_message(message.upper())

        def on_close(self):
            Chat.left = self.close_code, self.close_reason

    APP = web.Application(
        [
            ("/", Hello),
            ("/hello/(.*)", Hello),
            ("/stream", Stream),
            ("/flood", Flood),
            ("/upload", Upload),
            ("/broken", Broken),
            ("/chat", Chat),
        ]
    )


def scope(path, method="GET", kind="http", headers=(), query=b"", **more):
    return dict(
        {
            "type": kind,
            "method": method,
            "raw_path": path.encode(),
            "query_string": query,
            "http_version": "1.1",
            "scheme": {"http": "https", "websocket": "wss"}[kind],
            "client": ("192.0.2.7", 5),
            "root_path": "",
            "headers": [(b"host", b"example.com"), *headers],
            "path": path,
        },
        **more,
    )


class Server:
    """The server's side of ASGI."""

    def __init__(self):
        self.events = asyncio.Queue()
        self.said = []
        self.gone = False
        self.heard = asyncio.Queue()

    async def send(self, message):
        if self.gone:
            raise BrokenPipeError
        self.said.append(message)
        self.heard.put_nowait(message)

    def leave(self):
        self.gone = True
        self.events.put_nowait({"type": "http.disconnect"})


def body_event(body=b"", more=False):
    return {"type": "http.request", "body": body, "more_body": more}


@unittest.skipUnless(found, "needs Tornado")
class Tornado(unittest.TestCase):
    def setUp(self):
        logging.getLogger("tornado").setLevel(logging.CRITICAL + 1)
        self.addCleanup(logging.getLogger("tornado").setLevel, logging.NOTSET)
        self.app = tornadoapp.wrap(APP, "test:app")

    def run_one(self, scope, *events):
        """Returns status, headers and body of a response."""

        async def main():
            server = Server()
            for event in events or [body_event()]:
                server.events.put_nowait(event)
            await asyncio.wait_for(self.app(scope, server.events.get, server.send), LIMIT)
            return server.said

        said = asyncio.run(main())
        self.assertEqual([m["type"] for m in said], ["http.response.start"] + ["http.response.body"] * (len(said) - 1))
        self.assertEqual([m["more_body"] for m in said[1:]], [True] * (len(said) - 2) + [False])
        self.parts = [m["body"] for m in said[1:]]
        return said[0]["status"], said[0]["headers"], b"".join(self.parts)

    def test_plain(self):
        status, headers, body = self.run_one(scope("/hello/you"))
        self.assertEqual((status, body), (200, b"hello you from 192.0.2.7 by https"))
        self.assertEqual([v for n, v in headers if n == b"X-Many"], [b"a", b"b"])
        self.assertEqual(len(self.parts), 1)
        self.assertEqual(self.run_one(scope("/none"))[0], 404)
        self.assertEqual(self.run_one(scope("/broken"))[0], 500)
        self.assertEqual(self.run_one(scope("/", "DELETE"))[0], 405)
        self.assertEqual(self.run_one(scope("/", headers=[(b"host", b"twice")]))[0], 400)
        self.assertEqual(self.run_one(scope("/", "HEAD"))[0], 405)

    def test_bodies(self):
        form = (b"content-type", b"application/x-www-form-urlencoded")
        self.assertEqual(self.run_one(scope("/", "POST", headers=[form]), body_event(b"field=value"))[2], b"value11")
        parts = [body_event(b"field=" + b"y" * 1000, True), body_event(b"z" * 1000)]
        self.assertTrue(self.run_one(scope("/", "POST", headers=[form]), *parts)[2].endswith(b"z2006"))
        self.assertEqual(
            self.run_one(scope("/upload", "PUT"), body_event(b"abc", True), body_event(b"", True), body_event(b"de"))[
                2
            ],
            b"[3, 2]",
        )
        self.assertEqual(self.run_one(scope("/upload", "PUT"), body_event(b"abc"))[2], b"[3]")

    def test_stream(self):
        self.assertEqual(self.run_one(scope("/stream"))[2], b"part0part1part2")
        self.assertGreaterEqual(len(self.parts), 3)

    def test_client_that_leaves(self):
        async def main(path, query, outcome):
            server = Server()
            server.events.put_nowait(body_event())
            task = asyncio.ensure_future(self.app(scope(path, query=query), server.events.get, server.send))
            for _ in range(4):
                await asyncio.wait_for(server.heard.get(), LIMIT)
            server.leave()
            await asyncio.wait_for(task, LIMIT)
            return await asyncio.wait_for(outcome(), LIMIT)

        self.assertTrue(asyncio.run(main("/stream", b"hang=1", lambda: Stream.closed)))
        self.assertIsInstance(asyncio.run(main("/flood", b"", lambda: Flood.outcome)), iostream.StreamClosedError)

    def test_client_that_leaves_during_the_upload(self):
        async def main():
            server = Server()
            server.events.put_nowait(body_event(b"abc", True))
            server.leave()
            await asyncio.wait_for(self.app(scope("/upload", "PUT"), server.events.get, server.send), LIMIT)

        asyncio.run(main())

    def talk(self, *events, headers=(), **more):
        async def main():
            server = Server()
            for event in ({"type": "websocket.connect"}, *events):
                server.events.put_nowait(event)
            await asyncio.wait_for(
                self.app(scope("/chat", kind="websocket", headers=headers, **more), server.events.get, server.send),
                LIMIT,
            )
            return server.said

        return asyncio.run(main())

    def test_websocket(self):
        gone = {"type": "websocket.disconnect", "code": 1001, "reason": "away"}
        said = self.talk(
            {"type": "websocket.receive", "text": "shout"},
            {"type": "websocket.receive", "text": None, "bytes": b"abc"},
            gone,
            headers=[(b"sec-websocket-protocol", b"other, chat")],
        )
        self.assertEqual(
            said,
            [
                {"type": "websocket.accept", "subprotocol": "chat", "headers": []},
                {"type": "websocket.send", "text": "open chat"},
                {"type": "websocket.send", "text": "SHOUT"},
                {"type": "websocket.send", "bytes": b"cba"},
            ],
        )
        self.assertEqual(Chat.left, (1001, "away"))
        said = self.talk({"type": "websocket.receive", "text": "bye"}, {"type": "websocket.disconnect", "code": 4001})
        self.assertEqual(said[-1], {"type": "websocket.close", "code": 4001, "reason": "as you like"})
        self.assertEqual(Chat.left[0], 4001)

    def test_websocket_callback_that_raises(self):
        said = self.talk({"type": "websocket.receive", "text": "raise"}, {"type": "websocket.disconnect", "code": 1011})
        self.assertEqual(said[-1], {"type": "websocket.close", "code": 1011, "reason": ""})

    def test_websocket_denied(self):
        said = self.talk(headers=[(b"origin", b"https://evil.example")])
        self.assertEqual(said[0]["type"], "websocket.http.response.start")
        self.assertEqual(said[0]["status"], 403)
        self.assertFalse(said[-1]["more_body"])

    def test_other_apps(self):
        with self.assertRaisesRegex(loader.AppImportError, "'m:app' is no tornado.web.Application: use"):
            tornadoapp.wrap(lambda environ, start_response: [], "m:app")
