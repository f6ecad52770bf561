"""All responses of a worker go by one response buffer, one after the other."""

from indrik.protocol import (
    EVENT_BUFFER_FREE,
    EVENT_GONE,
    EVENT_RESET,
    REPLY_ERROR,
    REPLY_RESPONSE,
    SCOREBOARD_BUFFER,
    SCOREBOARD_FRONT,
)

from .support import receive, strict
from .support.asgi import ASGITest


class OneBuffer(ASGITest):
    APP = "asgi_responses:app"

    SIZE = {"query_string": b"100000"}

    def in_buffer(self, worker):
        """Returns the request whose body is in the response buffer, and leaves it there."""
        data, _ = receive(worker.slots[0])
        message = strict(data)
        self.assertEqual((message[0], message[-1]), (REPLY_RESPONSE, 100000))
        self.assertEqual(worker.scoreboard[worker.word(0, SCOREBOARD_BUFFER)], message[1])
        return message[1]

    def test_one_after_the_other(self):
        worker = self.up()
        ids = [self.ask(worker, "/huge", **self.SIZE) for _ in range(5)]
        self.assertEqual([self.reply(worker)[1] for _ in ids], ids)

    def test_who_waits_may_leave(self):
        worker = self.up()
        first, left, cancelled, last = [
            self.ask(worker, path, **self.SIZE) for path in ("/huge", "/huge", "/impatient", "/huge")
        ]
        self.assertEqual(self.in_buffer(worker), first)
        self.read(worker)
        self.event(worker, EVENT_GONE, left, None, None)
        self.assertEqual(self.replies(worker), [(REPLY_ERROR, left)])
        other = self.ask(worker, "/impatience")
        messages = self.replies(worker, 2)
        self.assertEqual({(m[0], m[1]) for m in messages}, {(REPLY_RESPONSE, other), (REPLY_RESPONSE, cancelled)})
        self.assertEqual(len(worker.take_buffer(100000)), 100000)
        self.event(worker, EVENT_BUFFER_FREE, first, None, None)
        self.assertEqual([m[:2] for m in self.replies(worker)], [(REPLY_RESPONSE, last)])

    def test_tasks_that_wait_together(self):
        worker = self.up()
        first, id = [self.ask(worker, path, **self.SIZE) for path in ("/huge", "/together")]
        self.assertEqual(self.in_buffer(worker), first)
        self.read(worker)
        worker.take_buffer(100000)
        self.event(worker, EVENT_BUFFER_FREE, first, None, None)
        self.assertEqual(self.take_all(worker, id), b"a" * 600000 + b"b" * 100000 + b"cd")

    def test_another_front(self):
        worker = self.up()
        first, _ = [self.ask(worker, "/huge", **self.SIZE) for _ in range(2)]
        self.assertEqual(self.in_buffer(worker), first)
        self.read(worker)
        # What a front does that comes after another.
        worker.scoreboard[worker.word(0, SCOREBOARD_BUFFER)] = 0
        worker.scoreboard[SCOREBOARD_FRONT] = self.FRONT + 2
        self.event(worker, EVENT_RESET, self.FRONT + 1, None, None)
        self.FRONT += 1
        self.ask(worker, "/huge", **self.SIZE)
        while self.reply(worker)[0] != REPLY_RESPONSE:
            pass  # the other one failed
