"""The functions of the environ that tell an app about its request."""

import time

from indrik.protocol import (
    REPLY_CHUNK,
    REPLY_END,
    REPLY_ERROR,
    REPLY_EXTEND,
    REPLY_START,
    SCOREBOARD_DEADLINE,
    SCOREBOARD_GONE,
)

from .support import MasterTest


class Functions(MasterTest):
    def answers(self, worker, query, meanwhile=None):
        id = self.master.request("/?" + query)
        values = []
        while True:
            message = self.master.response(worker)
            if message[0] == REPLY_END:
                return values
            if message[0] in (REPLY_START, REPLY_CHUNK) and message[-1]:
                values.append(eval(message[-1]))
            elif message[0] == REPLY_EXTEND:
                values.append(message)
            if meanwhile:
                meanwhile(worker, id)
                meanwhile = None

    def test_deadline(self):
        worker = self.master.serve("wsgi_functions:app", timeout=30)
        (left,) = self.answers(worker, "deadline()-now()")
        self.assertTrue(15 < left <= 30.1, left)  # nobody has noted anything yet

        def note(worker, id):
            # Also across the wrap of the word, which holds some 50 days.
            worker.scoreboard[worker.word(0, SCOREBOARD_DEADLINE)] = (
                id << 32 | int((time.monotonic() + 15) * 1000) & 0xFFFFFFFF
            )

        values = self.answers(worker, "1;until:deadline()-now()<20;deadline()-now()", note)
        self.assertTrue(0 < values[1] <= 15, values)

    def test_extension(self):
        worker = self.master.serve("wsgi_functions:app", timeout=20)
        values = self.answers(worker, "extend_deadline(60)-now();deadline()-now();extend_deadline(1)-now()")
        self.assertEqual(values[0], (REPLY_EXTEND, 1, 60001))
        for value in values[1], values[2], values[4]:
            self.assertTrue(40 < value <= 60.01, values)
        self.assertEqual(values[3], (REPLY_EXTEND, 1, 1001))
        # It is no other request's, and has a bound.
        values = self.answers(worker, "deadline()-now();extend_deadline(1e9)-now()")
        self.assertTrue(0 < values[0] <= 20.01, values)
        self.assertEqual(values[1], (REPLY_EXTEND, 2, 3600001))
        for nonsense in ("0", "-1", "float('nan')"):
            id = self.master.request("/?extend_deadline(%s)" % nonsense)
            self.assertEqual(self.master.response(worker)[:2], (REPLY_ERROR, id))
            self.master.wait_log("an extension of")

    def test_no_timeout(self):
        worker = self.master.serve("wsgi_functions:app", timeout=0)
        self.assertEqual(self.answers(worker, "deadline();extend_deadline(5);deadline()"), [None, None, None])

    def test_disconnected(self):
        worker = self.master.serve("wsgi_functions:app")
        self.assertEqual(self.answers(worker, "disconnected()"), [False])
        id = self.master.request("/?disconnected();until:disconnected();disconnected()")
        self.assertEqual(self.master.response(worker)[-1], b"False")
        worker.scoreboard[worker.word(0, SCOREBOARD_GONE)] = id
        self.assertEqual(self.master.response(worker), (REPLY_END, id))  # what it writes then is dropped
        self.assertEqual(self.answers(worker, "disconnected()"), [False])
