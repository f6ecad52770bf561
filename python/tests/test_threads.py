"""What workers with threads say and need, and when a worker is recycled."""

import signal
import sys
import unittest
from unittest import mock

from indrik import threads, worker


class Limits(unittest.TestCase):
    def test_jitter_is_per_worker(self):
        self.assertEqual(worker._limit(0, 5), sys.maxsize)
        self.assertEqual(worker._limit(10, 0), 10)
        drawn = {worker._limit(10, 3) for _ in range(1000)}
        self.assertEqual(drawn, {10, 11, 12, 13})

    def test_nudge_is_harmless(self):
        self.assertEqual(threads.NUDGE, signal.SIGURG)  # ignored unless handled


class GIL(unittest.TestCase):
    def told(self, version, enabled):
        said = mock.Mock()
        with mock.patch.object(threads, "sys", mock.Mock(version=version, _is_gil_enabled=lambda: enabled)):
            threads.tell_of_gil(said)
        return [(name, args[0]) for name, args, _ in said.mock_calls]

    def test_what_the_log_says(self):
        self.assertEqual(self.told("3.13.0 (main) [GCC]", True), [])
        self.assertEqual(
            self.told("3.13.0 experimental free-threading build (main) [GCC]", False),
            [("info", "The GIL is off: the threads of this worker run in parallel")],
        )
        ((level, text),) = self.told("3.14.0 free-threading build (main) [GCC]", True)
        self.assertEqual(level, "warning")
        self.assertIn("The GIL is on", text)
