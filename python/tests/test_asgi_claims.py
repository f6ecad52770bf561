"""Which requests a worker of ASGI takes, and what it tells the front of its loop."""

import time

from indrik.protocol import (
    EVENT_PING,
    EVENT_REQUEST,
    EVENT_RESET,
    REPLY_ERROR,
    REPLY_REFUSED,
    REPLY_RESPONSE,
    REPLY_START,
    SCOREBOARD_FRONT,
    SCOREBOARD_LAG,
    SCOREBOARD_MOST_LAG,
    SCOREBOARD_PING,
    SCOREBOARD_TURN,
)

from .support.asgi import ASGITest


class Claims(ASGITest):
    APP = "asgi_requests:app"

    def test_revoked(self):
        worker = self.up()
        self.last += 1
        revoked = self.FRONT << 24 | self.last
        self.master.generations[1].revoke(revoked)
        self.event(worker, EVENT_REQUEST, revoked, self.scope(), b"")
        self.assertEqual(self.reply(worker), (REPLY_REFUSED, revoked))
        self.ask(worker)
        self.assertEqual(self.reply(worker)[0], REPLY_RESPONSE)

    def test_other_fronts(self):
        worker = self.up()
        self.event(worker, EVENT_REQUEST, 5 << 24 | 1, self.scope("/error"), b"")
        id = self.ask(worker)
        self.assertEqual(self.reply(worker)[:2], (REPLY_RESPONSE, id))
        worker.scoreboard[SCOREBOARD_FRONT] = 0  # nothing is to be begun
        self.ask(worker, "/error")
        self.read(worker)
        worker.scoreboard[SCOREBOARD_FRONT] = self.FRONT + 1
        waiting = self.ask(worker, "/wait")
        self.assertEqual(self.reply(worker)[:2], (REPLY_START, waiting))
        self.event(worker, EVENT_RESET, self.FRONT + 1, None, None)
        self.master.wait_log("left")
        self.assertEqual(self.reply(worker), (REPLY_ERROR, waiting))

    def test_ping(self):
        worker = self.up()
        self.event(worker, EVENT_PING, 7, time.monotonic_ns() - 2000000000, None)
        self.ask(worker)
        self.reply(worker)
        self.assertEqual(worker.scoreboard[SCOREBOARD_PING], 7)
        self.assertTrue(2000000 <= worker.scoreboard[SCOREBOARD_LAG] < 20000000, worker.scoreboard[SCOREBOARD_LAG])
        most = worker.scoreboard[SCOREBOARD_MOST_LAG]
        self.assertEqual(most, worker.scoreboard[SCOREBOARD_LAG])
        self.event(worker, EVENT_PING, 8, time.monotonic_ns() + 10**12, None)
        self.ask(worker)
        self.reply(worker)
        self.assertEqual(
            (
                worker.scoreboard[SCOREBOARD_PING],
                worker.scoreboard[SCOREBOARD_LAG],
                worker.scoreboard[SCOREBOARD_MOST_LAG],
            ),
            (8, 0, most),
        )

    def test_turn(self):
        worker = self.up()
        self.assertEqual(worker.scoreboard[SCOREBOARD_TURN], 0)
        self.ask(worker, "/turn")
        self.assertEqual(self.reply(worker)[-1], b"1 then 0")
        for _ in range(2):
            self.ask(worker, "/wait")
            self.reply(worker)
        self.ask(worker, "/turn")
        self.assertEqual(self.reply(worker)[-1], b"3 then 0")
