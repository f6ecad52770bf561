"""A single worker in a terminal."""

import marshal
import mmap
import os
import signal
import sys
import unittest
from unittest import mock

from indrik import terminal
from indrik.protocol import REPLY_EXTEND, SCOREBOARD_CLAIMED, SCOREBOARD_PART
from indrik.wire import slot_word


class Terminal(unittest.TestCase):
    def worker(self, slots=2, asgi=None):
        scoreboard = memoryview(mmap.mmap(-1, 4096 + slots * SCOREBOARD_PART)).cast("Q")
        return mock.Mock(asgi=asgi, timeout=30, scoreboard=scoreboard, slots=[mock.Mock() for _ in range(slots)])

    def test_without_one(self):
        worker = self.worker()
        error = OSError(6, "No such device or address")
        with mock.patch.object(os, "open", side_effect=error), mock.patch.object(os, "setpgid") as setpgid:
            terminal.take(worker, 5)
        worker.log.debug.assert_called_once_with("The terminal cannot be read: %s", error)
        setpgid.assert_not_called()

    def taken(self, worker, environ):
        """Returns the calls of the system, and the breakpoint hook that is set."""
        system = mock.Mock()
        system.open.return_value = 9
        names = {name: getattr(system, name) for name in ("open", "setpgid", "dup2", "close")}
        hook, stdin = sys.breakpointhook, sys.stdin
        with mock.patch.multiple(os, **names), mock.patch.dict(os.environ, environ):
            with mock.patch.object(signal, "signal", system.signal), mock.patch("builtins.open") as opened:
                try:
                    terminal.take(worker, 5)
                    opened.assert_called_once_with(0, closefd=False)
                    return [(name, *args) for name, args, _ in system.mock_calls], sys.breakpointhook
                finally:
                    sys.breakpointhook, sys.stdin = hook, stdin

    def test_calls(self):
        calls, _ = self.taken(self.worker(), {})
        self.assertEqual(
            calls,
            [
                ("open", "/dev/tty", os.O_RDWR),
                ("setpgid", 0, 5),
                ("dup2", 9, 0),
                ("close", 9),
                ("signal", signal.SIGINT, terminal.hooks.nothing),
            ],
        )

    def test_breakpoints(self):
        worker = self.worker()
        worker.scoreboard[slot_word(1, SCOREBOARD_CLAIMED)] = 7
        pdb = mock.Mock()
        with mock.patch.dict(os.environ):
            os.environ.pop("PYTHONBREAKPOINT", None)
            _, hook = self.taken(worker, {})
        with mock.patch.object(terminal.stdlib, "load", return_value=pdb):
            hook(header="look")
        pdb.Pdb.assert_called_once_with(nosigint=True)
        debugger = pdb.Pdb.return_value
        debugger.message.assert_called_once_with("look")
        (frame,), _ = debugger.set_trace.call_args
        self.assertEqual(frame.f_code.co_name, "test_breakpoints")
        # The request that runs has more time, and the idle slot says nothing.
        worker.slots[0].send.assert_not_called()
        worker.slots[1].send.assert_called_once()

    def test_debugger_of_the_operators_choice(self):
        _, hook = self.taken(self.worker(), {"PYTHONBREAKPOINT": "ipdb.set_trace"})
        self.assertIs(hook, sys.breakpointhook)

    def test_asgi_has_no_slots_with_a_time(self):
        worker = self.worker(asgi=mock.Mock())
        worker.scoreboard[slot_word(0, SCOREBOARD_CLAIMED)] = 7
        terminal._extend(worker)
        worker.slots[0].send.assert_not_called()

    def test_extension(self):
        worker = self.worker(1)
        worker.scoreboard[slot_word(0, SCOREBOARD_CLAIMED)] = 7
        terminal._extend(worker)
        (data,), _ = worker.slots[0].send.call_args
        kind, _, milliseconds = marshal.loads(data)
        self.assertEqual((kind, milliseconds), (REPLY_EXTEND, int(terminal.LONGEST * 1000) + 1))
