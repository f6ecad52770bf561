"""The hooks pre_request and post_request around requests of ASGI."""

import asyncio
import logging
import unittest
from unittest import mock

from indrik import asgihooks


class Hooks(unittest.TestCase):
    def setUp(self):
        self.calls = []
        self.worker = mock.MagicMock()
        self.worker.forks.__exit__.return_value = False
        self.worker.wsgi = self.app
        self.debug(False)
        self.conversation = mock.Mock(status=204, sent=0, headers=[(b"a", b"b")])

    async def app(self, scope, receive, send):
        self.calls.append(("app", scope["path"]))
        if scope["path"] == "/broken":
            raise ValueError("of the app")

    def debug(self, on):
        self.worker.log.error_log.isEnabledFor = lambda level: on and level == logging.DEBUG

    def set(self, **hooks):
        self.worker.cfg.hooks = hooks
        return asgihooks.of(self.worker)

    def run_app(self, made, **more):
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/a",
            "raw_path": b"/a",
            "root_path": "",
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "client": ("::1", 5),
            "headers": [],
        }
        scope.update(more)
        asyncio.run(made(self.conversation)(scope, None, None))
        return scope

    def pre(self, worker, req):
        self.calls.append(("pre", req.method, req.path))
        req.path = "/changed" if req.path == "/a" else req.path

    def post(self, worker, req, environ, response):
        self.calls.append(("post", environ["RAW_URI"], response.status_code))

    def test_none(self):
        self.assertIsNone(self.set())

    def test_line_of_the_request_for_debugging(self):
        self.debug(True)
        self.run_app(self.set())
        self.worker.shown.log.debug.assert_called_once_with("%s %s", "GET", "/a")
        self.assertEqual(self.calls, [("app", "/a")])

    def test_order_and_changes(self):
        scope = self.run_app(self.set(pre_request=self.pre, post_request=self.post))
        self.assertEqual(self.calls, [("pre", "GET", "/a"), ("app", "/changed"), ("post", "/a", 204)])
        self.assertEqual(scope["raw_path"], b"/changed")
        self.worker.heed.assert_called_once_with()

    def test_one_of_them(self):
        self.run_app(self.set(pre_request=self.pre))
        self.run_app(self.set(post_request=self.post))
        self.assertEqual([call[0] for call in self.calls], ["pre", "app", "app", "post"])

    def test_websockets_have_none(self):
        self.run_app(self.set(pre_request=self.pre, post_request=self.post), type="websocket")
        self.assertEqual(self.calls, [("app", "/a")])

    def test_app_that_fails(self):
        self.conversation = mock.Mock(status=None, sent=None, headers=None)
        with self.assertRaisesRegex(ValueError, "^of the app$"):
            self.run_app(self.set(post_request=self.post), path="/broken", raw_path=b"/broken")
        self.assertEqual(self.calls[-1], ("post", "/broken", 500))
        self.worker.heed.assert_called_once_with()

    def test_hook_before_that_fails(self):
        """The app is not called; the hook after it is."""
        before = mock.Mock(side_effect=KeyError("before"))
        with self.assertRaises(KeyError):
            self.run_app(self.set(pre_request=before, post_request=self.post))
        self.assertEqual([call[0] for call in self.calls], ["post"])

    def test_hook_after_that_fails(self):
        self.run_app(self.set(post_request=mock.Mock(side_effect=KeyError("after"))))
        self.worker.log.exception.assert_called_once_with("Exception in post_request hook")
        self.worker.heed.assert_called_once_with()
