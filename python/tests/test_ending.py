"""What an app has left running at the end of its worker."""

import importlib.util
import marshal
import os
import re
import select
import signal
import sys
import threading
import time
import unittest
from unittest import mock

from indrik import ending
from indrik.protocol import (
    REPLY_RESPONSE,
    SCOREBOARD_FRONT,
)

from .support import LIMIT, Master, MasterTest, send

WSGI, ASGI = "left_running:wsgi", "left_running:asgi"


class Watch(unittest.TestCase):
    @unittest.skipUnless(sys.version_info[:2] == (3, 10), "other versions do not crash")
    def test_begins_before_the_interpreter_ends(self):
        waits, threads = threading.Event(), []

        class Lock:
            def __init__(self):
                self.lock, self.count = threading.Lock(), 0
                self.release = self.lock.release

            def acquire(self, blocking=True, timeout=-1):
                self.count += 1
                if self.count == 2:
                    waits.set()
                self.lock.acquire()  # without the limit: the test ends the waiting

        worker = mock.Mock(is_gevent=False)
        with mock.patch("_thread.allocate_lock", Lock), mock.patch.object(ending, "_watch") as watch, mock.patch(
            "_thread.start_new_thread", lambda function, args: threads.append(function)
        ):
            bound = threading.Thread(target=ending.bound, args=(worker, 3))
            bound.start()
            self.assertTrue(waits.wait(LIMIT), "nobody waits for the thread")
            threads[0]()
            bound.join(LIMIT)
            self.assertFalse(bound.is_alive())
            watch.assert_called_once_with(worker, 3, bound.ident)


class Ending(MasterTest):
    def up(self, app, early="", master=None, slots=1, gate=None, **settings):
        master = master or self.master
        if gate is None:
            gate = os.path.join(master.dir, "gate")
            os.mkfifo(gate)
        settings.setdefault("graceful_timeout", 30)
        worker = master.serve(app, raw_env=["GATE=" + gate, "EARLY=" + early], slots=slots, **settings)
        worker.gate = gate
        if app is ASGI:
            worker.scoreboard[SCOREBOARD_FRONT] = 1
        return worker

    def ask(self, worker, app=WSGI):
        """Has a request start a thread."""
        if app is ASGI:
            rest = {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "scheme": "http",
                "root_path": "",
                "headers": [],
                "server": ("127.0.0.1", 8000),
                "extensions": {},
            }
            scope = marshal.dumps(rest, 2), "GET", "/", b"/", b"", ("127.0.0.1", 50000)
            send(worker.slots[0], marshal.dumps([(0, 1, scope, b"")], 2))
        else:
            self.master.request("/")
        ready, _, _ = select.select(worker.slots, [], [], LIMIT)
        self.assertEqual(self.master.response(worker, worker.slots.index(ready[0]))[0], REPLY_RESPONSE)

    def test_threads_of_requests_finish(self):
        for app, slots in ((WSGI, 1), (WSGI, 3), (ASGI, 1)):
            worker = self.up(app, slots=slots)
            self.ask(worker, app)
            with open(worker.gate, "w"):
                self.master.begin_end(worker)
                self.assertFalse(select.select([self.master.control], [], [], 0.3)[0])
            self.assertEqual(self.master.exited(worker)["code"], 0)
            self.assertIn("finished thread\n", self.master.read_log())
            self.assertNotIn("does not wait", self.master.read_log())
            if app is ASGI:
                self.assertIn("shutdown\n", self.master.read_log())
            os.unlink(worker.gate)

    def test_threads_of_requests_have_graceful_timeout(self):
        worker = self.up(WSGI, slots=3, graceful_timeout=3)
        self.ask(worker)
        began = time.monotonic()
        with open(worker.gate, "w"):
            self.master.begin_end(worker)
            self.assertEqual(self.master.exited(worker)["code"], 0)
        self.assertGreater(time.monotonic() - began, 2)
        self.assertIn(
            "[WARNING] Worker (pid:%d) ends, and does not wait for thread job\n" % worker.pid, self.master.read_log()
        )

    def test_what_runs_for_ever(self):
        kinds = [(WSGI, 1, {}), (WSGI, 3, {}), (ASGI, 1, {})]
        if importlib.util.find_spec("gevent"):
            kinds.append((WSGI, 1, {"worker_class": "gevent"}))
        running = []
        for i, (app, slots, settings) in enumerate(kinds):
            directory = os.path.join(self.dir, str(i))
            os.mkdir(directory)
            master = Master(directory)
            self.addCleanup(master.close)
            # They sleep for longer than the test waits, and a request might take longer.
            settings["graceful_timeout"] = 10 * LIMIT
            worker = self.up(app, "process thread", master, slots, "never", **settings)
            running.append((master, worker))
            master.begin_end(worker)
        for master, worker in running:
            event = master.exited(worker)
            log = master.read_log()
            self.assertEqual((event["code"], event["signal"]), (0, 0), log)
            found = re.search(
                r"\[WARNING\] Worker \(pid:\d+\) ends, and does not wait for thread job, process job"
                r" \(pid:(\d+)\)\n",
                log,
            )
            self.assertTrue(found, log)
            os.kill(int(found[1]), signal.SIGKILL)
            if worker is running[2][1]:
                self.assertIn("shutdown\n", log)

    def test_what_runs_at_the_exit(self):
        """It has the time that requests have, also beside threads that are not waited for."""
        code = (
            "import atexit, time\n@atexit.register\ndef flush():\n    time.sleep(3)\n    print('flushed', flush=True)\n"
        )
        self.master.write("app.py", code + "from left_running import wsgi as app\n")
        worker = self.up("app:app", gate="never")
        self.master.begin_end(worker)
        self.assertEqual(self.master.exited(worker)["code"], 0)
        self.assertIn("flushed\n", self.master.read_log())
        self.master.prepare("app:app", raw_env=["GATE=never", "EARLY=thread"], graceful_timeout=30)
        worker = self.master.spawn()
        self.master.begin_end(worker)
        self.assertEqual(self.master.exited(worker)["code"], 0)
        self.assertIn("does not wait for thread job\n", self.master.read_log())

    def test_boot_that_fails(self):
        gate = os.path.join(self.dir, "gate")
        os.mkfifo(gate)
        self.master.write("app.py", "import left_running\n1 / 0")
        self.master.configure()
        self.master.prepare("app:app", raw_env=["GATE=" + gate, "EARLY=thread"])
        worker = self.master.spawn(ready=False)
        self.assertEqual(self.master.exited(worker)["code"], 3)

    def test_at_once(self):
        worker = self.up(WSGI, "thread", graceful_timeout=10 * LIMIT)
        self.ask(worker)
        self.master.begin_end(worker, signal.SIGQUIT)
        self.assertEqual(self.master.exited(worker)["code"], 0)  # and the gate stays closed
