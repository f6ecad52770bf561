"""Several requests in one message."""

import os
import signal

from indrik.protocol import (
    REPLY_CHUNK,
    REPLY_END,
    REPLY_ERROR,
    REPLY_REFUSED,
    REPLY_RESPONSE,
    REPLY_START,
    SCOREBOARD_GONE,
)

from .support import MasterTest, receive, strict_all


class Batches(MasterTest):
    def setUp(self):
        super().setUp()
        self.worker = self.master.serve("wsgi_together:app")

    def answers(self):
        """Returns the kinds, ids and bodies of one message."""
        data, _ = receive(self.worker.slots[0])
        return [m[:2] + m[4:] if len(m) > 3 else m for m in map(self.worker.with_body, strict_all(data))]

    def test_fast(self):
        a, b, c = self.master.request_all("/a", "/b", "/c")
        got = self.answers()
        while len(got) < 3:  # if this machine is busy
            got += self.answers()
        self.assertEqual(got, [(REPLY_RESPONSE, a, b"/a"), (REPLY_RESPONSE, b, b"/b"), (REPLY_RESPONSE, c, b"/c")])
        self.assertEqual(self.worker.claimed(), c)
        self.assertEqual(self.master.get(self.worker, "/d")[4], b"/d")
        self.assertEqual(self.worker.journal(), b"")

    def in_order(self, paths, *wanted):
        self.master.request_all(*paths)
        got = []
        while len(got) < len(wanted):
            got += [(m[0], *m[2:]) for m in self.answers()]
        self.assertEqual(got, list(wanted))

    def test_order(self):
        self.in_order(
            ["/a", "/write", "/b"],
            (REPLY_RESPONSE, b"/a"),
            (REPLY_START, b"a"),
            (REPLY_CHUNK, b"/write"),
            (REPLY_END,),
            (REPLY_RESPONSE, b"/b"),
        )
        self.in_order(["/a", "/error", "/b"], (REPLY_RESPONSE, b"/a"), (REPLY_ERROR,), (REPLY_RESPONSE, b"/b"))
        self.in_order(["/error", "/write"], (REPLY_ERROR,), (REPLY_START, b"a"), (REPLY_CHUNK, b"/write"), (REPLY_END,))
        self.in_order(
            ["/a", "/close", "/b"], (REPLY_RESPONSE, b"/a"), (REPLY_RESPONSE, b"/close"), (REPLY_RESPONSE, b"/b")
        )
        self.in_order(
            ["/a", "/big/65000", "/big/65536", "/big/70000", "/b"],
            (REPLY_RESPONSE, b"/a"),
            (REPLY_RESPONSE, bytes(65000)),
            (REPLY_RESPONSE, bytes(65536)),
            (REPLY_RESPONSE, bytes(70000)),
            (REPLY_RESPONSE, b"/b"),
        )

    def test_revoked(self):
        for at in range(3):
            ids = list(range(self.master.last_id + 1, self.master.last_id + 4))
            self.master.generations[1].revoke(ids[at])
            self.master.request_all("/0", "/1", "/2")
            got = []
            while len(got) < 3:
                got += self.answers()
            wanted = [(REPLY_RESPONSE, id, b"/%d" % i) for i, id in enumerate(ids)]
            wanted[at] = (REPLY_REFUSED, ids[at])
            self.assertEqual(got, wanted)

    def test_slow(self):
        # Answers do not wait for a request that has not begun.
        a, b, c = self.master.request_all("/a", "/nap", "/wait")
        got = self.answers()
        while len(got) < 2:
            got += self.answers()
        self.assertEqual(got, [(REPLY_RESPONSE, a, b"/a"), (REPLY_RESPONSE, b, b"/nap")])
        self.worker.scoreboard[self.worker.word(0, SCOREBOARD_GONE)] = c
        self.assertEqual(self.answers(), [(REPLY_RESPONSE, c, b"/wait")])

    def test_reply_journal(self):
        a, b, _ = self.master.request_all("/a", "/wait", "/c")
        while self.worker.claimed() != b:
            os.sched_yield()
        journaled = strict_all(self.worker.journal())
        if journaled:  # it had no time to be sent
            self.assertEqual(journaled, [(REPLY_RESPONSE, a, "200 OK", [], b"/a")])
        os.kill(self.worker.pid, signal.SIGKILL)
        self.master.exited(self.worker)
        self.assertEqual(strict_all(self.worker.journal()), journaled)
        data, _ = receive(self.worker.slots[0])
        self.assertEqual(bool(data), not journaled)
