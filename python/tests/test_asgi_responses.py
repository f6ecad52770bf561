"""Responses of ASGI, their extensions, and their flow control."""

import os
import socket

from indrik.protocol import (
    EVENT_CREDIT,
    EVENT_GONE,
    REPLY_CHUNK,
    REPLY_END,
    REPLY_ERROR,
    REPLY_FILE,
    REPLY_HINTS,
    REPLY_PART,
    REPLY_RESPONSE,
    REPLY_START,
    REPLY_TRAILERS,
)

from .support import LIMIT
from .support.asgi import ASGITest


class Responses(ASGITest):
    APP = "asgi_responses:app"

    def test_headers_are_what_they_were(self):
        worker = self.up()
        id = self.ask(worker, "/changed")
        self.assertEqual(self.reply(worker), (REPLY_RESPONSE, id, 200, [(b"a", b"b"), (b"c", b"d")], b"x"))

    def test_files(self):
        worker = self.up()
        self.master.write("file", "0123456789" * 10000)
        id = self.ask(worker, "/file", query_string=os.path.join(self.dir, "file").encode())
        self.assertEqual(self.reply(worker), (REPLY_FILE, id, 200, [], 0, -1))
        self.assertEqual(len(self.fds), 1)
        os.close(self.fds[0])
        id = self.ask(worker, "/path")
        with open("/etc/passwd", "rb") as f:
            message, content = self.reply(worker), f.read()
        if self.fds:  # the file system does not tell what is in memory
            self.assertEqual(message, (REPLY_FILE, id, 200, [], 0, -1))
            os.close(self.fds[0])
        else:
            self.assertEqual(message, (REPLY_RESPONSE, id, 200, [], content))
        id = self.ask(worker, "/parts")
        for want in (REPLY_START, id, 200, [], b""), (REPLY_PART, id, 0, 5), (REPLY_PART, id, 5, 5), (REPLY_END, id):
            self.assertEqual(self.reply(worker), want)
            for fd in self.fds:
                os.close(fd)

    def test_trailers_and_hints(self):
        worker = self.up()
        id = self.ask(worker, "/trailers")
        messages = [self.reply(worker), self.reply(worker)]
        self.assertEqual(messages, [(REPLY_START, id, 200, [], b"data"), (REPLY_TRAILERS, id, ((b"x", b"y"),))])
        id = self.ask(worker, "/hints")
        messages = [self.reply(worker), self.reply(worker)]
        self.assertEqual(messages[0], (REPLY_HINTS, id, [(b"link", b"</a>")]))
        self.assertEqual(messages[1][0], REPLY_RESPONSE)

    def test_window(self):
        worker = self.up(asgi_send_after_disconnect="raise")
        id = self.ask(worker, "/much")
        got = 0
        for _ in range(6):
            got += len(self.reply(worker)[-1])
        self.assertEqual(got, 300000)  # the one that goes beyond the window is the last
        worker.slots[0].settimeout(0.3)
        with self.assertRaises(socket.timeout):
            self.reply(worker)
        worker.slots[0].settimeout(LIMIT)
        self.event(worker, EVENT_CREDIT, id, 300000, None)
        for _ in range(6):
            self.assertEqual(self.reply(worker)[0], REPLY_CHUNK)
        self.event(worker, EVENT_GONE, id, None, None)
        self.assertEqual(self.reply(worker), (REPLY_ERROR, id))
        self.assertEqual(self.master.read_log().count("sent "), 11)
        self.assertNotIn("Error in ASGI", self.master.read_log())

    def test_large_body(self):
        worker = self.up()
        id = self.ask(worker, "/huge", query_string=b"1000000")
        self.assertEqual(self.reply(worker), (REPLY_RESPONSE, id, 200, [], bytes(1000000)))
        id = self.ask(worker, "/huge", query_string=b"3000000")
        got = 0
        while True:
            message = self.reply(worker)
            if message[0] == REPLY_END:
                break
            got += len(message[-1])
            self.event(worker, EVENT_CREDIT, id, len(message[-1]), None)
            self.assertLessEqual(len(message[-1]), 256 << 10)
        self.assertEqual(got, 3000000)

    def test_tasks_that_send_together(self):
        worker = self.up()
        id = self.ask(worker, "/together")
        self.assertEqual(self.take_all(worker, id), b"a" * 600000 + b"b" * 100000 + b"cd")

    def test_send_that_is_cancelled(self):
        """What would come after half a part of the body would be taken for the rest."""
        worker = self.up()
        id = self.ask(worker, "/halving")
        self.assertEqual(self.reply(worker)[0], REPLY_START)
        self.assertEqual(self.reply(worker), (REPLY_ERROR, id))
        self.read(worker)
        self.assertFalse(self.kept)

    def test_send_without_end(self):
        """The app returns while a task of its own waits for room."""
        worker = self.up(asgi_send_after_disconnect="raise")
        id = self.ask(worker, "/abandoning")
        while self.reply(worker) != (REPLY_ERROR, id):
            pass
        self.master.wait_log("nobody waits for it")
