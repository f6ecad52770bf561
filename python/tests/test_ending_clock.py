"""The clock that runs beside the end of a worker: how long threads and processes of the app have."""

import os
import sys
import threading
import unittest
from unittest import mock

from indrik import ending
from indrik.protocol import SCOREBOARD_END


class Time:
    """A clock that goes on when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Exited(Exception):
    pass


class Clock(unittest.TestCase):
    def setUp(self):
        self.time = Time()
        patched = mock.patch.multiple(ending, time=self.time)
        patched.start()
        self.addCleanup(patched.stop)

    def worker(self, graceful_timeout=30, **attributes):
        scoreboard = [0] * (SCOREBOARD_END + 1)
        fields = {"leaving": False, "until": None, "booted": True, "early": set(), "pid": 7, "scoreboard": scoreboard}
        fields.update(attributes)
        return mock.Mock(cfg=mock.Mock(get={"graceful_timeout": graceful_timeout}.get), **fields)

    def watch(self, worker, code=0, waits=True, threads=()):
        """Returns how long the process lived, and its exit code; threads are of requests."""
        began = self.time.now
        with mock.patch.object(ending, "_waits", side_effect=waits if callable(waits) else lambda main: waits):
            with mock.patch.object(ending, "_of_requests", return_value=list(threads)):
                with mock.patch.object(os, "_exit", side_effect=Exited) as leave, self.assertRaises(Exited):
                    ending._watch(worker, code, 1)
        (status,), _ = leave.call_args
        return round(self.time.now - began, 2), status


class Limits(Clock):
    def test_what_is_meant_to_run_for_ever(self):
        self.assertEqual(self.watch(self.worker()), (ending.MOMENT, 0))

    def test_threads_of_requests(self):
        self.assertEqual(self.watch(self.worker(graceful_timeout=7), threads=["x"]), (7, 0))
        worker = self.worker(until=self.time.now + 5)
        self.assertEqual(self.watch(worker, threads=["x"]), (5, 0))

    def test_functions_at_the_exit(self):
        self.assertEqual(self.watch(self.worker(graceful_timeout=7), waits=False), (7, 0))

    def test_moment_begins_when_those_have_ended(self):
        end_of_function = self.time.now + 4

        def waits(main):
            return self.time.now >= end_of_function

        lived, _ = self.watch(self.worker(), waits=waits)
        self.assertAlmostEqual(lived, 4 + ending.MOMENT, delta=2 * ending._EVERY)

    def test_at_once(self):
        worker = self.worker(leaving=True)
        self.assertEqual(self.watch(worker), (ending.QUICK, 0))
        self.assertEqual(self.watch(worker, waits=False), (ending.QUICK_EXIT, 0))
        self.assertEqual(self.watch(worker, threads=["x"]), (ending.QUICK_EXIT, 0))

    def test_before_the_first_request(self):
        worker = self.worker(booted=False)
        self.assertEqual(self.watch(worker, threads=["x"]), (ending.MOMENT, 0))

    def test_without_graceful_timeout(self):
        self.assertEqual(self.watch(self.worker(graceful_timeout=0), threads=["x"]), (ending.MOMENT, 0))

    def test_codes(self):
        for code, status in (0, 0), (3, 3), (None, 0), ("a last word", 1):
            self.assertEqual(self.watch(self.worker(), code)[1], status)

    def test_what_the_log_says(self):
        worker = self.worker()
        with mock.patch.object(ending, "_left", return_value=["thread a", "process b (pid:9)"]):
            self.watch(worker)
        worker.log.warning.assert_called_once_with(
            "Worker (pid:%s) ends, and does not wait for %s", 7, "thread a, process b (pid:9)"
        )
        worker.log.warning.side_effect = ValueError  # the interpreter has gone too far
        with mock.patch.object(ending, "_left", return_value=[]):
            self.assertEqual(self.watch(worker), (ending.MOMENT, 0))


class Grace(Clock):
    def end(self, graceful_timeout, server_ends_in=None):
        worker = self.worker(graceful_timeout)
        if server_ends_in is not None:
            worker.scoreboard[SCOREBOARD_END] = int((self.time.now + server_ends_in) * 1000)
        return round(ending.end_of_grace(worker) - self.time.now, 3)

    def test_before_the_master_ends_it(self):
        self.assertEqual(self.end(30), 29.5)
        self.assertEqual(self.end(1), 0.9)
        self.assertEqual((self.end(0), self.end(None)), (0, 0))

    def test_server_that_ends(self):
        """It has waited for its requests already."""
        self.assertEqual(self.end(30, server_ends_in=10), 9.5)
        self.assertEqual(self.end(30, server_ends_in=-5), ending.LEAST - 0.5)
        self.assertEqual(self.end(1, server_ends_in=-5), 0.9)


class Threads(unittest.TestCase):
    def setUp(self):
        self.ends = threading.Event()
        self.before = set(threading.enumerate())

    def thread(self, name, daemon=False):
        thread = threading.Thread(target=self.ends.wait, name=name, daemon=daemon)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.ends.set)
        return thread

    def test_which_are_waited_for(self):
        early, late, _ = self.thread("early"), self.thread("late"), self.thread("daemon", True)
        self.assertEqual(set(ending._threads()) - self.before, {early, late})
        self.assertEqual(set(ending._of_requests({early})) - self.before, {late})
        self.assertIn("thread late", ending._left())
        self.assertNotIn("thread daemon", ending._left())

    def test_processes(self):
        process = mock.Mock(pid=9)
        process.name = "job"
        multiprocessing = mock.Mock(active_children=lambda: [process])
        with mock.patch.dict(sys.modules, multiprocessing=multiprocessing):
            self.assertIn("process job (pid:9)", ending._left())
        with mock.patch.dict(sys.modules):
            sys.modules.pop("multiprocessing", None)
            self.assertNotIn("process job (pid:9)", ending._left())

    def test_who_waits(self):
        """Frames of the interpreter's own waiting, and no others."""
        self.assertTrue(ending._waits(0))  # no such thread: it has ended

        def frame(name, path):
            made = mock.Mock(f_back=None)
            made.f_code.co_name, made.f_code.co_filename = name, path
            return mock.Mock(f_back=made)

        for name, path, waits in [
            ("_shutdown", "/usr/lib/python3/threading.py", True),
            ("_python_exit", "/usr/lib/python3/concurrent/futures/thread.py", True),
            ("_exit_function", "/usr/lib/python3/multiprocessing/util.py", True),
            ("flush", "/srv/app/threading.py", False),
            ("_shutdown", "/srv/app/web.py", False),
        ]:
            frames = mock.Mock(_getframe=sys._getframe)
            frames._current_frames.return_value = {5: frame(name, path)}
            with self.subTest(name=name, path=path), mock.patch.object(ending, "sys", frames):
                self.assertIs(ending._waits(5), waits)
