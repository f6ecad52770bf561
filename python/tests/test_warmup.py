"""Requests that a worker makes to its own app before it is ready."""

import asyncio
import threading
import unittest
from types import SimpleNamespace
from unittest import mock

from indrik import warmup
from indrik.loader import BootError

from .support import LIMIT


class Closed(list):
    """The parts of a response, which is closed."""

    closed = False

    def close(self):
        self.closed = True


class WarmupTest(unittest.TestCase):
    def worker(self, app, *targets, asgi=None, stopping=False):
        settings = {"warmup": list(targets), "warmup_timeout": 30}
        return SimpleNamespace(
            cfg=settings,
            wsgi=app,
            asgi=asgi,
            stopping=stopping,
            log=mock.Mock(),
            threaded=False,
            is_gevent=False,
            processes=1,
            dump_file=2,
            give_up=mock.Mock(),
        )


class WSGI(WarmupTest):
    def test_environ(self):
        asked = []
        parts = Closed([b"a", b"b"])

        def app(environ, start_response):
            asked.append(environ)
            start_response("200 OK", [])(b"written")
            return parts

        warmup.run(self.worker(app, "/caf%C3%A9?q=1", "https://example.com:8443"))
        first, second = asked
        self.assertEqual(first["PATH_INFO"], "/caf\xc3\xa9")
        self.assertEqual(
            (first["QUERY_STRING"], first["HTTP_HOST"], first["wsgi.url_scheme"]), ("q=1", "localhost", "http")
        )
        self.assertEqual(first["wsgi.input"].read(), b"")
        self.assertEqual((second["PATH_INFO"], second["HTTP_HOST"]), ("/", "example.com:8443"))
        self.assertEqual((second["SERVER_NAME"], second["SERVER_PORT"]), ("example.com", "8443"))
        self.assertEqual(second["wsgi.url_scheme"], "https")
        self.assertEqual(first["HTTP_USER_AGENT"], "indrik (warmup)")
        self.assertTrue(parts.closed)

    def test_failures(self):
        def answering(status, body):
            def app(environ, start_response):
                start_response(status, [])
                return [body]

            return app

        def raising(environ, start_response):
            raise ValueError("broken for a test")

        for app, text in (
            (
                answering("503 Service Unavailable", b"no \xff database"),
                "answered with 503 Service Unavailable\nno \\xff database",
            ),
            (answering("404 Not Found", b"x" * 10000), "answered with 404 Not Found\n" + "x" * 2000 + "\u2026"),
            (answering("", b""), "answered with "),
            (raising, "ValueError: broken for a test"),
            (lambda environ, start_response: [b""], "answered with no status"),
        ):
            with self.assertRaises(BootError) as caught:
                warmup.run(self.worker(app, "/"))
            self.assertIn(text, str(caught.exception))
            self.assertIn("warmup: GET / ", str(caught.exception))

    def test_worker_that_is_to_end(self):
        app = mock.Mock()
        warmup.run(self.worker(app, "/", stopping=True))
        app.assert_not_called()

    def test_time_is_up(self):
        worker = self.worker(None, "/hang")
        watch = warmup._Watch(worker, "it had no answer", 0.01)
        told = threading.Event()
        worker.give_up.side_effect = lambda text: told.set()
        # Where it takes that long, the last resort would end the tests.
        with mock.patch.object(warmup, "_LAST_RESORT", LIMIT), watch:
            self.assertTrue(told.wait(LIMIT))
        text = worker.give_up.call_args[0][0]
        self.assertIn("it had no answer\n", text)
        self.assertIn("test_time_is_up", text)


class ASGI(WarmupTest):
    def ask(self, app, target, state=None):
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        lifespan = SimpleNamespace(task=object()) if state is not None else None
        server = SimpleNamespace(loop=loop, app=app, lifespan=lifespan, state=state)
        warmup.run(self.worker(None, target, asgi=server))

    def test_scope(self):
        asked = []

        async def app(scope, receive, send):
            asked.append(scope)
            asked.append(await receive())
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            await send({"type": "http.response.body"})
            asked.append(await receive())

        self.ask(app, "https://example.com/caf%C3%A9?q=1", {"pool": 1})
        scope, request, gone = asked
        self.assertEqual((scope["path"], scope["raw_path"], scope["query_string"]), ("/caf\xe9", b"/caf%C3%A9", b"q=1"))
        self.assertEqual(
            (scope["scheme"], scope["server"], scope["state"]), ("https", ("example.com", 443), {"pool": 1})
        )
        self.assertIn((b"host", b"example.com"), scope["headers"])
        self.assertEqual(
            (request["type"], request["more_body"], gone["type"]), ("http.request", False, "http.disconnect")
        )

    def test_failures(self):
        async def failing(scope, receive, send):
            self.assertNotIn("state", scope)
            await send({"type": "http.response.start", "status": 500})
            await send({"type": "http.response.body", "body": b"why"})

        async def raising(scope, receive, send):
            raise ValueError("broken for a test")

        async def silent(scope, receive, send):
            pass

        for app, text in ((failing, "answered with 500\nwhy"), (raising, "broken for a test"), (silent, "no status")):
            with self.assertRaises(BootError) as caught:
                self.ask(app, "/")
            self.assertIn(text, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
