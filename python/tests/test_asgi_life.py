"""Signals, limits and hooks of a worker of ASGI."""

import os
import signal

from indrik.protocol import EVENT_GONE, REPLY_ERROR, REPLY_FAIL, REPLY_LEAVE, REPLY_RESPONSE, REPLY_START

from .support import receive
from .support.asgi import ASGITest


class Life(ASGITest):
    APP = "asgi_requests:app"

    def test_term(self):
        worker = self.up()
        running = self.ask(worker, "/wait")
        self.assertEqual(self.reply(worker)[0], REPLY_START)
        os.kill(worker.pid, signal.SIGTERM)
        while True:  # until it has heard of that
            id = self.ask(worker)
            message = self.reply(worker)
            if message[0] == REPLY_LEAVE:
                self.assertEqual(message, (REPLY_LEAVE, id))
                break
            self.assertEqual(message[:2], (REPLY_RESPONSE, id))
        self.assertNotIn("shutdown", self.master.read_log())
        self.event(worker, EVENT_GONE, running, None, None)
        self.assertEqual(self.reply(worker), (REPLY_ERROR, running))
        self.assertEqual(receive(worker.slots[0])[0], b"")  # its end is told at once
        self.assertEqual(self.master.exited(worker)["code"], 0)
        self.assertIn("shutdown", self.master.read_log())

    def test_graceful_timeout(self):
        worker = self.up(graceful_timeout=1)
        id = self.ask(worker, "/sleep")
        self.master.wait_log("sleeping")
        os.kill(worker.pid, signal.SIGTERM)
        self.assertEqual(self.reply(worker), (REPLY_FAIL, id, 504))
        self.assertEqual(self.master.exited(worker)["code"], 0)
        self.assertIn("shutdown", self.master.wait_log("Worker graceful timeout"))

    def test_quit(self):
        worker = self.up()
        self.ask(worker, "/sleep")
        self.master.wait_log("sleeping")
        os.kill(worker.pid, signal.SIGQUIT)
        self.assertEqual(self.master.exited(worker)["code"], 0)
        self.assertIn("shutdown", self.master.read_log())

    def test_abort(self):
        worker = self.up(config="def worker_abort(worker):\n    print('aborted', flush=True)\n")
        os.kill(worker.pid, signal.SIGABRT)
        self.assertEqual(self.master.exited(worker)["code"], 1)
        self.assertIn("aborted", self.master.read_log())

    def test_max_requests(self):
        worker = self.up(max_requests=2)
        for _ in range(2):
            self.ask(worker)
            self.reply(worker)
        self.assertEqual(self.master.expect("recycle")["age"], worker.age)
        self.ask(worker)
        self.assertEqual(self.reply(worker)[0], REPLY_RESPONSE)

    def test_kind_is_told(self):
        self.up()
        worker = self.master.spawn(ready=False)
        self.assertEqual(self.master.expect("ready").get("kind"), "asgi")
        self.assertTrue(worker.pid)

    def test_hooks(self):
        worker = self.up(
            config="""
def pre_request(worker, req):
    print("pre", worker.nr, req.method, req.path, req.query, req.headers, flush=True)
    req.headers.append(("X-ADDED", "1"))
    if req.path == "/old":
        req.path = "/hello"
def post_request(worker, req, environ, resp):
    print("post", environ["REMOTE_ADDR"], resp.status_code, resp.sent, resp.headers, flush=True)
"""
        )
        self.ask(worker)
        self.reply(worker)
        self.assertIn("pre 1 GET / q [('HOST', 'x')]", self.master.wait_log("post 127.0.0.1 200 5 [('a', 'b')]"))
        self.ask(worker, "/error")
        self.reply(worker)
        self.master.wait_log("post 127.0.0.1 500 0 []")
        self.ask(worker, "/old")
        self.assertEqual(self.reply(worker)[0], REPLY_RESPONSE)
