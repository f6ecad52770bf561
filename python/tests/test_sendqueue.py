"""The messages of a worker to the front, which its loop never waits to send."""

import asyncio
import os
import socket
import unittest
from unittest import mock

from indrik.protocol import MAX_MESSAGE
from indrik.sendqueue import SendQueue

from . import support


class Queue(unittest.TestCase):
    def setUp(self):
        self.front, self.sock = support.pair()
        self.addCleanup(self.front.close)
        self.addCleanup(self.sock.close)
        self.sock.setblocking(False)
        self.log = mock.Mock()
        self.queue = SendQueue(self.sock, self.log)
        self.queue.loop = self.loop = mock.Mock()

    def received(self):
        return support.receive(self.front)[0]

    def received_all(self):
        """Returns the messages that the kernel has."""
        messages = []
        self.front.setblocking(False)
        try:
            while True:
                messages.append(self.received())
        except BlockingIOError:
            self.front.settimeout(support.LIMIT)
            return messages

    def fill(self):
        """Sends until the kernel takes no more; returns the number of messages."""
        sent = 0
        while not self.queue.backlog:
            self.queue.put(b"%d" % sent + bytes(1000))
            sent += 1
        return sent


class Corked(Queue):
    def test_one_message(self):
        self.queue.put(b"a")
        self.assertEqual(self.received(), b"a")
        self.queue.uncork()
        self.assertEqual(self.received_all(), [])

    def test_messages_go_together(self):
        self.queue.corked = True
        for data in b"a", b"b", b"c":
            self.queue.put(data)
        self.assertEqual(self.received_all(), [])
        self.queue.uncork()
        self.assertFalse(self.queue.corked)
        self.assertEqual(self.received_all(), [b"abc"])
        self.queue.put(b"d")
        self.assertEqual(self.received_all(), [b"d"])

    def test_no_more_than_the_front_reads(self):
        self.queue.corked = True
        first, second = bytes(MAX_MESSAGE - 10), bytes(11)
        self.queue.put(first)
        self.queue.put(second)
        self.assertEqual(self.received_all(), [first])
        self.queue.put(b"more")
        self.queue.uncork()
        self.assertEqual(self.received_all(), [second + b"more"])

    def test_exactly_what_the_front_reads(self):
        self.queue.corked = True
        self.queue.put(bytes(MAX_MESSAGE - 1))
        self.queue.put(b"x")
        self.queue.uncork()
        self.assertEqual([len(m) for m in self.received_all()], [MAX_MESSAGE])

    def test_file_goes_behind_what_came_before(self):
        self.queue.corked = True
        self.queue.put(b"before")
        fd = support.memory(0, b"content")
        self.queue.put_file(b"with it", fd)
        os.fstat(fd)  # it stays the caller's
        os.close(fd)
        self.assertEqual(self.received(), b"before")
        data, fds = support.receive(self.front)
        self.assertEqual((data, len(fds)), (b"with it", 1))
        self.assertEqual(os.pread(fds[0], 100, 0), b"content")
        os.close(fds[0])


class Full(Queue):
    """The front reads more slowly than the app sends."""

    def test_order(self):
        sent = self.fill()
        self.loop.add_writer.assert_called_once_with(self.sock, self.queue._drain)
        self.queue.put(b"the last")
        self.loop.add_writer.assert_called_once()
        got = self.received_all()
        self.assertEqual(len(got), sent - 1)
        self.queue._drain()
        got += self.received_all()
        self.assertEqual([m.rstrip(b"\0") for m in got[:-1]], [b"%d" % i for i in range(sent)])
        self.assertEqual(got[-1], b"the last")
        self.loop.remove_writer.assert_called_once_with(self.sock)

    def test_partial_drain(self):
        self.fill()
        for i in range(5):
            self.queue.put(b"x%d" % i + bytes(60000))
        self.received()
        self.queue._drain()
        self.assertTrue(self.queue.backlog)
        self.loop.remove_writer.assert_not_called()
        got = self.received_all()
        while self.queue.backlog:
            self.queue._drain()
            got += self.received_all()
        self.assertEqual([m[:2] for m in got[-5:]], [b"x%d" % i for i in range(5)])

    def test_descriptor_waits_with_its_message(self):
        self.fill()
        fd = support.memory(0, b"content")
        self.queue.put_file(b"with it", fd)
        os.close(fd)  # the queue has one of its own
        _, kept = self.queue.backlog[-1]
        self.received_all()
        self.queue._drain()
        self.assertRaises(OSError, os.fstat, kept)
        while True:
            data, fds = support.receive(self.front)
            if data == b"with it":
                break
        self.assertEqual(os.pread(fds[0], 100, 0), b"content")
        os.close(fds[0])

    def test_who_waits_for_the_drain(self):
        async def run():
            self.queue.loop = loop = asyncio.get_running_loop()
            await asyncio.wait_for(self.queue.await_drain(), support.LIMIT)  # there is nothing to wait for
            sent = self.fill()
            waiting = [loop.create_task(self.queue.await_drain()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[1].cancel()
            await asyncio.sleep(0)
            self.assertFalse(waiting[0].done())
            got = len(self.received_all())
            await asyncio.wait_for(asyncio.gather(waiting[0], waiting[2]), support.LIMIT)
            self.assertEqual(got + len(self.received_all()), sent)
            self.assertEqual(self.queue.drain_waiters, [])

        asyncio.run(run())


class Gone(Queue):
    def test_front_that_has_gone(self):
        self.front.close()
        self.queue.put(b"x")
        self.assertFalse(self.queue.backlog)
        (text, error), _ = self.log.debug.call_args
        self.assertEqual(text, "A message to the front was not sent: %s")
        self.assertIsInstance(error, BrokenPipeError)

    def test_front_that_goes_while_messages_wait(self):
        self.fill()
        fd = support.memory(0)
        self.queue.put_file(b"x", fd)
        os.close(fd)
        _, kept = self.queue.backlog[-1]
        self.front.close()
        self.queue._drain()
        self.assertFalse(self.queue.backlog)
        self.assertRaises(OSError, os.fstat, kept)
        self.loop.remove_writer.assert_called_once_with(self.sock)

    def test_nothing_is_sent_to_who_is_lost(self):
        self.queue.lost = True
        self.queue.put(b"x")
        self.queue.corked = True
        self.queue.put(b"y")
        self.queue.uncork()
        self.assertEqual(self.received_all(), [])
        self.assertFalse(self.queue.backlog)

    def test_interrupted(self):
        """As if the kernel had no room."""
        sock = mock.Mock(spec=socket.socket)
        sock.send.side_effect = InterruptedError
        self.queue.sock = sock
        self.queue.put(b"x")
        self.queue._drain()
        self.assertEqual(list(self.queue.backlog), [(b"x", None)])
        sock.send.side_effect = None
        self.queue._drain()
        self.assertEqual(sock.send.call_args_list, [mock.call(b"x")] * 3)
