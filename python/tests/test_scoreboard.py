"""Memory that a slot shares with the front: claims, revocations, the reply journal, the response buffer and
the response arena."""

import mmap
import os
import sys
import tempfile
import unittest

from indrik import wire
from indrik.protocol import (
    CLAIM_SIZE,
    JOURNAL_SIZE,
    MAX_REVOKED,
    RESPONSE_ARENA_SIZE,
    RESPONSE_BUFFER_SIZE,
    SCOREBOARD_ARENA,
    SCOREBOARD_BUFFER,
    SCOREBOARD_CLAIMED,
    SCOREBOARD_JOURNALED,
    SCOREBOARD_PART,
    SCOREBOARD_REVOCATION_RING,
    SCOREBOARD_REVOCATIONS,
    SCOREBOARD_TOKEN,
)

SLOTS = 3


class ScoreboardTest(unittest.TestCase):
    def setUp(self):
        self.memory = mmap.mmap(-1, 4096 + SLOTS * SCOREBOARD_PART)
        self.scoreboard = memoryview(self.memory).cast("Q")

    def revoke(self, *ids):
        """What the front does: the entry before the count."""
        for request_id in ids:
            n = self.scoreboard[SCOREBOARD_REVOCATIONS]
            self.scoreboard[SCOREBOARD_REVOCATION_RING + n % MAX_REVOKED] = request_id
            self.scoreboard[SCOREBOARD_REVOCATIONS] = n + 1


class Claims(ScoreboardTest):
    def test_token_and_id_are_next_to_each_other(self):
        for index in range(SLOTS):
            claim = bytes(range(index, index + CLAIM_SIZE))
            self.memory[wire.claim_slice(index)] = claim
            words = [
                self.scoreboard[wire.slot_word(index, word)].to_bytes(8, sys.byteorder)
                for word in (SCOREBOARD_TOKEN, SCOREBOARD_CLAIMED)
            ]
            self.assertEqual(b"".join(words), claim)

    def test_words_of_slots_are_apart(self):
        words = {
            wire.slot_word(index, word)
            for index in range(SLOTS)
            for word in range(SCOREBOARD_TOKEN, SCOREBOARD_BUFFER + 1)
        }
        self.assertEqual(len(words), SLOTS * (SCOREBOARD_BUFFER + 1))
        ring = range(SCOREBOARD_REVOCATION_RING, SCOREBOARD_REVOCATION_RING + MAX_REVOKED)
        self.assertFalse(words.intersection(ring))
        self.assertLess(8 * max(words), 4096)


class Revocations(ScoreboardTest):
    def test_what_was_revoked_before(self):
        self.revoke(5)
        revocations = wire.Revocations(self.scoreboard)
        self.assertTrue(revocations.include(5))
        self.assertFalse(revocations.include(6))

    def test_what_is_revoked_later(self):
        revocations = wire.Revocations(self.scoreboard)
        self.assertFalse(revocations.include(5))
        self.revoke(5, 6)
        for request_id, included in (5, True), (6, True), (7, False):
            self.assertIs(revocations.include(request_id), included)
        self.assertEqual(revocations.seen, 2)

    def test_ring_that_has_gone_round(self):
        """Not to run a request is safe: the front gives it to another slot."""
        revocations = wire.Revocations(self.scoreboard)
        self.revoke(*range(100, 100 + MAX_REVOKED - 1))
        self.assertFalse(revocations.include(5))
        self.revoke(*range(200, 200 + MAX_REVOKED))
        self.assertTrue(revocations.include(5))  # its entry may have been lost
        revocations.message_came()
        self.assertFalse(revocations.include(5))  # the ring was read
        self.assertTrue(revocations.include(200))
        self.assertFalse(revocations.include(100))

    def test_ring_that_has_gone_round_within_a_message(self):
        """What the ring has lost by the second request of a message it has lost by the third."""
        revocations = wire.Revocations(self.scoreboard)
        revocations.message_came()
        self.assertFalse(revocations.include(1))
        self.revoke(3, *range(100, 100 + MAX_REVOKED))
        self.assertTrue(revocations.include(2))
        self.assertTrue(revocations.include(3))
        revocations.message_came()
        self.assertFalse(revocations.include(4))
        # Many revocations, of which few came since the message.
        for n in range(200, 300):
            self.revoke(n)
            revocations.message_came()
            self.assertFalse(revocations.include(4))


class Journal(ScoreboardTest):
    def setUp(self):
        super().setUp()
        self.sent = []
        self.journal = wire.ReplyJournal(self.scoreboard, 1, lambda data: self.sent.append(bytes(data)))

    def journaled(self):
        """Returns what the front would find, if this process died now."""
        size = self.scoreboard[wire.slot_word(1, SCOREBOARD_JOURNALED)]
        start = len(self.memory) - 2 * SCOREBOARD_PART
        return self.memory[start : start + size]

    def test_replies_go_together(self):
        self.journal.flush()
        for data in b"one", b"two":
            self.journal.put(data)
        self.assertEqual((self.journaled(), self.sent), (b"onetwo", []))
        self.journal.flush()
        self.assertEqual((self.journaled(), self.sent), (b"", [b"onetwo"]))
        self.journal.flush()
        self.assertEqual(len(self.sent), 1)

    def test_full(self):
        first, second = b"a" * (JOURNAL_SIZE - 1), b"bb"
        self.journal.put(first)
        self.journal.put(second)
        self.assertEqual((self.sent, self.journaled()), ([first], second))

    def test_exactly_full(self):
        self.journal.put(b"a" * JOURNAL_SIZE)
        self.assertEqual((len(self.journaled()), self.sent), (JOURNAL_SIZE, []))

    def test_larger_than_the_journal(self):
        """The order of replies stays."""
        large = b"x" * (JOURNAL_SIZE + 1)
        self.journal.put(b"before")
        self.journal.put(large)
        self.journal.put(b"after")
        self.assertEqual((self.sent, self.journaled()), ([b"before", large], b"after"))

    def test_reply_that_cannot_be_sent(self):
        """The front finds it in the journal."""

        def refuse(data):
            raise BrokenPipeError

        self.journal.send = refuse
        self.journal.put(b"reply")
        self.assertRaises(BrokenPipeError, self.journal.flush)
        self.assertEqual(self.journaled(), b"reply")

    def test_nobody_elses_memory(self):
        others = [wire.ReplyJournal(self.scoreboard, index, self.sent.append) for index in (0, 2)]
        self.journal.put(b"a" * JOURNAL_SIZE)
        for other in others:
            self.assertEqual(bytes(other.memory), bytes(JOURNAL_SIZE))
            other.flush()
        self.assertEqual(self.sent, [])


class Buffer(ScoreboardTest):
    def test_one_part_at_a_time(self):
        buffer = wire.ResponseBuffer(self.scoreboard, 2)
        self.assertTrue(buffer.is_free())
        self.assertTrue(buffer.put(7, b"first"))
        self.assertFalse(buffer.is_free())
        self.assertFalse(buffer.put(8, b"second"))
        self.assertEqual(bytes(buffer.memory[:6]), b"first\0")
        self.assertEqual(self.scoreboard[wire.slot_word(2, SCOREBOARD_BUFFER)], 7)
        buffer.clear()
        self.assertTrue(buffer.put(8, memoryview(b"second")))
        self.assertEqual(bytes(buffer.memory[:6]), b"second")

    def test_the_largest_part(self):
        buffer = wire.ResponseBuffer(self.scoreboard, 0)
        data = b"x" * RESPONSE_BUFFER_SIZE
        self.assertTrue(buffer.put(1, data))
        self.assertEqual(bytes(buffer.memory), data)
        neighbor = wire.ReplyJournal(self.scoreboard, 0, lambda data: None)
        self.assertEqual(bytes(neighbor.memory), bytes(JOURNAL_SIZE))
        buffer.clear()
        with self.assertRaises(ValueError):
            buffer.put(1, data + b"x")
        self.assertTrue(buffer.is_free())


class Arena(ScoreboardTest):
    def word(self):
        return self.scoreboard[wire.slot_word(1, SCOREBOARD_ARENA)]

    def setUp(self):
        super().setUp()
        self.arena = wire.ResponseArena(self.scoreboard, 1)

    def free(self):
        """Is what the front does when it has read the last body."""
        self.scoreboard[wire.slot_word(1, SCOREBOARD_ARENA)] = 0

    def test_one_behind_the_other(self):
        self.assertEqual(self.arena.place(7, b"first"), (0, 5))
        self.assertEqual(self.word(), 7 << 32 | 5)
        self.assertEqual(self.arena.place(8, memoryview(b"second")), (5, 6))
        self.assertEqual(self.word(), 8 << 32 | 11)
        self.assertEqual(bytes(self.arena.memory[:12]), b"firstsecond\0")
        self.free()
        self.assertEqual(self.arena.place(9, b"third"), (0, 5))

    def test_full(self):
        most = b"x" * RESPONSE_ARENA_SIZE
        self.assertEqual(self.arena.place(7, most), (0, len(most)))
        self.assertEqual(self.arena.place(8, b"more"), b"more")
        self.assertEqual(self.word(), 7 << 32 | len(most))
        self.free()
        self.assertEqual(self.arena.place(9, most + b"x"), most + b"x")
        self.assertEqual(self.word(), 0)

    def test_nobody_elses_memory(self):
        self.arena.place(7, b"x" * RESPONSE_ARENA_SIZE)
        for index in 0, 2:
            other = wire.ResponseArena(self.scoreboard, index)
            self.assertEqual(bytes(other.memory), bytes(RESPONSE_ARENA_SIZE))
        self.assertEqual(bytes(wire.ResponseBuffer(self.scoreboard, 1).memory), bytes(RESPONSE_BUFFER_SIZE))

    def test_fork(self):
        """What a fork of the worker does changes nothing that the worker has there."""
        self.arena.place(7, b"worker")
        self.arena.disarm()
        self.assertEqual(self.arena.place(8, b"fork"), b"fork")
        with tempfile.TemporaryFile() as file:
            file.write(b"content")
            file.flush()
            self.assertIsNone(self.arena.read(8, file.fileno(), 0, 7))
        self.assertEqual(bytes(self.arena.memory[:10]), b"worker\0\0\0\0")

    def test_file(self):
        with tempfile.TemporaryFile() as file:
            file.write(b"0123456789")
            file.flush()
            fd = file.fileno()
            if self.arena.read(6, fd, 0, 10) is None:
                self.skipTest("the file system does not tell what is in memory")
            self.assertEqual(self.arena.read(7, fd, 3, 5), (10, 5))
            self.assertEqual(bytes(self.arena.memory[:16]), b"012345678934567\0")
            self.assertEqual(self.word(), 7 << 32 | 15)
            self.assertIsNone(self.arena.read(8, fd, 3, 8))  # the file has become shorter
            self.assertIsNone(self.arena.read(8, fd, 0, RESPONSE_ARENA_SIZE - 14))
            self.assertEqual(self.word(), 7 << 32 | 15)
        read, write = os.pipe()
        with open(read, "rb"), open(write, "wb"):
            self.assertIsNone(self.arena.read(8, read, 0, 5))
