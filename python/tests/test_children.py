"""The processes that a spawner has forked, and those that it knows of."""

import os
import signal
import sys
import threading
import unittest
from unittest import mock

from indrik import children, hooks, lingering, view
from indrik.children import Children


class ChildrenTest(unittest.TestCase):
    def setUp(self):
        self.server = view.Server()
        self.server.cfg = self.server.log = mock.Mock()
        self.control, self.listen = mock.Mock(), mock.Mock()
        self.children = Children(self.server, self.control, mock.MagicMock(), self.listen)

    def fork(self, code=None):
        """Returns the pid of a child: one that has ended with a code, or waits for a signal."""
        pid = os.fork()
        if pid == 0:
            if code is None:
                signal.pause()
            os._exit(code or 0)
        if code is not None:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return pid

    def worker(self, pid, age=1, child_exit=hooks.nothing):
        self.server.WORKERS[pid] = mock.Mock(age=age, pid=pid, cfg=mock.Mock(child_exit=child_exit))
        return self.server.WORKERS[pid]

    def ended(self):
        """Returns what the master was told of workers that have ended, less the memory."""
        told = []
        for args, fields in self.control.send.call_args_list:
            if args == ("exited",):
                fields = dict(fields)
                self.assertGreaterEqual(fields.pop("peak"), 0)
                told.append(fields)
        return told


class Reaping(ChildrenTest):
    def test_exit(self):
        pid = self.fork(7)
        self.worker(pid, age=3)
        self.children.reap()
        self.assertEqual(self.ended(), [{"age": 3, "pid": pid, "code": 7, "signal": 0}])
        self.assertEqual(self.server.WORKERS, {})
        self.children.reap()
        self.assertEqual(len(self.ended()), 1)

    def test_signal(self):
        pid = self.fork()
        self.worker(pid)
        self.children.reap()
        self.assertEqual(self.ended(), [])
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self.children.reap()
        self.assertEqual(self.ended(), [{"age": 1, "pid": pid, "code": 0, "signal": 9}])

    def test_worker_that_the_app_waited_for(self):
        pid = self.fork(5)
        os.waitpid(pid, 0)
        self.worker(pid)
        self.children.reap()
        self.assertEqual(self.ended(), [{"age": 1, "pid": pid, "code": 0, "signal": 0}])

    def test_children_of_the_app_are_left_to_it(self):
        pid = self.fork(6)
        self.children.reap()
        self.assertEqual(os.waitpid(pid, 0)[1] >> 8, 6)

    def test_workers_of_other_spawners(self):
        self.children.note_others({os.getpid(): 1})
        self.children.reap()
        self.assertIn(os.getpid(), self.server.WORKERS)
        self.assertEqual(self.ended(), [])

    def test_logger(self):
        ended, waited_for, runs = self.fork(0), self.fork(0), self.fork()
        os.waitpid(waited_for, 0)
        self.children.loggers = {ended, waited_for, runs}
        self.children.reap()
        self.assertEqual(self.children.loggers, {runs})
        os.kill(runs, signal.SIGKILL)
        os.waitpid(runs, 0)

    def test_peak_of_memory(self):
        self.assertEqual(children._peak(None), 0)
        used = mock.Mock(ru_maxrss=4 << 20)
        for platform, peak in ("linux", 4 << 20), ("darwin", 4 << 10):
            with mock.patch.object(sys, "platform", platform):
                self.assertEqual(children._peak(used), peak)


class Hook(ChildrenTest):
    def test_child_exit(self):
        calls = []
        worker = self.worker(self.fork(0), child_exit=lambda server, worker: calls.append((server, worker)))
        self.children.reap()
        self.assertEqual(calls, [(self.server, worker)])
        kinds = [args[0] for args, _ in self.control.send.call_args_list]
        self.assertEqual(kinds, ["busy", "idle", "exited"])
        self.listen.assert_called_once_with()

    def test_hook_that_raises(self):
        for error in ValueError, SystemExit:
            self.control.reset_mock()
            self.worker(self.fork(0), child_exit=mock.Mock(side_effect=error))
            self.children.reap()
            self.server.log.exception.assert_called_with("Exception in child_exit hook")
            kinds = [args[0] for args, _ in self.control.send.call_args_list]
            self.assertEqual(kinds, ["busy", "idle", "exited"])

    def test_worker_that_never_started(self):
        for code in children._NOT_STARTED:
            hook = mock.Mock()
            self.worker(self.fork(code), child_exit=hook)
            self.children.reap()
            hook.assert_not_called()
            self.assertEqual(self.ended()[-1]["code"], code)


class Others(ChildrenTest):
    def test_they_come_and_go(self):
        own = self.worker(5, age=1)
        self.children.note_others({10: 2, 11: 3})
        other = self.server.WORKERS[10]
        self.assertEqual((other.pid, other.age, str(other)), (10, 2, "<Worker 10>"))
        self.assertTrue(other.alive and other.booted and not other.aborted)
        self.children.note_others({10: 2, 5: 1, 12: 4})
        self.assertEqual(sorted(self.server.WORKERS), [5, 10, 12])
        self.assertIs(self.server.WORKERS[10], other)
        self.assertIs(self.server.WORKERS[5], own)
        self.children.forget_others()
        self.assertEqual(self.server.WORKERS, {5: own})


class Leftovers(ChildrenTest):
    """What on_starting and when_ready have left running."""

    def test_nothing(self):
        self.assertFalse(self.children.hooks_left_something())  # no hook has run
        self.children.note_baseline()
        self.assertFalse(self.children.hooks_left_something())

    def test_thread(self):
        ends = threading.Event()
        before = threading.Thread(target=ends.wait)
        before.start()
        self.children.note_baseline()
        self.assertFalse(self.children.hooks_left_something())
        thread = threading.Thread(target=ends.wait)
        thread.start()
        self.children.note_baseline()  # of the first of the two hooks
        self.assertTrue(self.children.hooks_left_something())
        ends.set()
        thread.join()
        before.join()
        self.assertFalse(self.children.hooks_left_something())

    @unittest.skipUnless(os.path.isdir(lingering._TASKS), "needs /proc")
    def test_process(self):
        self.children.note_baseline()
        pid = self.fork()
        try:
            self.assertTrue(self.children.hooks_left_something())
            self.worker(pid)
            self.assertFalse(self.children.hooks_left_something())
            self.server.WORKERS.clear()
            self.children.loggers.add(pid)
            self.assertFalse(self.children.hooks_left_something())
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
