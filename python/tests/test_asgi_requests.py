"""What an app of ASGI is given: scope, body and state."""

import marshal
import os
import signal

from indrik.protocol import EVENT_BODY, EVENT_REQUEST, EVENT_UPLOAD, REPLY_CREDIT, REPLY_ERROR, REPLY_RESPONSE

from .support import BodyArena, memory
from .support.asgi import ASGITest


class Requests(ASGITest):
    APP = "asgi_requests:app"

    def test_response(self):
        worker = self.up()
        id = self.ask(worker)
        self.assertEqual(self.reply(worker), (REPLY_RESPONSE, id, 200, [(b"a", b"b")], b"hello"))
        self.assertEqual(worker.claimed(), id)

    def test_many_at_once(self):
        # One message may hold several answers, in any order.
        worker = self.up()
        os.kill(worker.pid, signal.SIGSTOP)
        ids = [self.ask(worker) for _ in range(30)]
        os.kill(worker.pid, signal.SIGCONT)
        messages = self.replies(worker, 30)
        self.assertEqual(sorted(m[1] for m in messages), ids)

    def test_state(self):
        worker = self.up()
        for i in range(2):
            self.ask(worker, "/state")
            self.assertEqual(eval(self.reply(worker)[-1]), {"own": 1, "shared": [1] * (i + 2)})

    def test_large_scope(self):
        worker = self.up()
        id = self.next_id()
        fd = memory(0, marshal.dumps((self.scope("/read"), b"body"), 2))
        self.event(worker, EVENT_REQUEST, id, None, None, fds=[fd])
        self.assertEqual(self.reply(worker)[-1], b"[4]")
        os.close(fd)

    def test_body_in_the_body_arena(self):
        worker = self.up()
        arena = BodyArena(4)
        for id in self.next_id(), self.next_id():
            item = arena.put(id, bytes(200000), [3, 1])
            self.event(worker, EVENT_REQUEST, id, self.scope("/read"), item, fds=[arena.fd])
            self.assertEqual(self.reply(worker)[-1], b"[200000]")
        # By now its memory is of another one.
        self.event(worker, EVENT_REQUEST, self.next_id(), self.scope("/read"), item, fds=[arena.fd])
        self.ask(worker)
        self.assertEqual(self.reply(worker)[-1], b"hello")
        arena.close()

    def test_no_room_for_descriptors(self):
        worker = self.up()
        for scope, body in (self.scope("/read"), (200000, 3, 1)), (None, None):
            id = self.next_id()
            self.event(worker, EVENT_REQUEST, id, scope, body)
            self.assertEqual(self.reply(worker), (REPLY_ERROR, id))
            self.master.wait_log("Too many open files")

    def test_error(self):
        worker = self.up()
        id = self.ask(worker, "/error")
        self.assertEqual(self.reply(worker), (REPLY_ERROR, id))
        self.assertIn("ValueError: an error", self.master.wait_log("Error in ASGI application"))

    def test_uvicorns_loggers(self):
        worker = self.up()
        self.ask(worker, "/uvicorns_loggers")
        self.assertEqual(self.reply(worker)[0], REPLY_RESPONSE)
        log = self.master.read_log()
        for line in (
            "[INFO] said to uvicorn.error",
            "[WARNING] said to uvicorn",
            "[ERROR] an exception",
            "KeyError: 'kept'",
        ):
            self.assertEqual(log.count(line + "\n"), 1, log)
        self.assertNotIn("not said", log)
        self.assertNotIn("access log", log)

    def test_upload(self):
        worker = self.up()
        id = self.ask(worker, "/read", b"", EVENT_UPLOAD)
        self.assertEqual(self.reply(worker), (REPLY_CREDIT, id, 256 << 10))
        self.event(worker, EVENT_BODY, id, bytes(1000), 1)
        for _ in range(8):
            self.event(worker, EVENT_BODY, id, bytes(30000), 1)
        kind, _, _ = self.reply(worker)
        self.assertEqual(kind, REPLY_CREDIT)  # again, when most of it has come
        self.event(worker, EVENT_BODY, id, b"", 0)
        while True:
            message = self.reply(worker)
            if message[0] == REPLY_RESPONSE:
                break
        self.assertEqual(sum(eval(message[-1])), 241000)

    def test_first_part(self):
        worker = self.up()
        id = self.ask(worker, "/read", b"start", EVENT_UPLOAD)
        self.assertEqual(self.reply(worker)[:2], (REPLY_CREDIT, id))
        self.event(worker, EVENT_BODY, id, b"the end", 0)
        self.assertEqual(self.reply(worker)[-1], b"[5, 7]")
