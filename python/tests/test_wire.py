"""Messages of the control channel."""

import os
import unittest

from indrik import wire

from . import support


class Wire(unittest.TestCase):
    def test_message_with_descriptors(self):
        ours, theirs = support.pair()
        control = wire.Control(theirs.detach())
        with ours:
            with self.assertRaises(BlockingIOError):
                control.receive()
            reader, writer = os.pipe()
            support.send(ours, b'{"type": "x"}', [reader] * 200)
            message, fds = control.receive()
            self.assertEqual((message, len(fds)), ({"type": "x"}, 200))
            self.assertFalse(any(os.get_inheritable(fd) for fd in fds))
            wire.close_all([*fds, reader, writer])
            control.send("y", call=1)
            self.assertEqual(support.receive(ours)[0], b'{"call": 1, "type": "y"}')
        self.assertIsNone(control.receive())
        control.send("z")  # to nobody
        control.sock.close()

    def test_clip(self):
        self.assertEqual(wire.clip("short"), "short")
        for character in "x", '"', "\0", "\u0436", "\U0001f600", "\udc80":
            text = "first" + character * 10**6 + "last"
            clipped = wire.clip(text)
            self.assertTrue(clipped.startswith("first") and clipped.endswith("last"))
            self.assertTrue(wire.MAX_TEXT // 2 < wire.json_size(clipped) <= wire.MAX_TEXT)
