"""What hooks see of the server."""

import os
import signal
import time
import unittest
from unittest import mock

from indrik import config, view


class View(unittest.TestCase):
    def test_address(self):
        for bind, address in [
            ("127.0.0.1:80", ("127.0.0.1", 80)),
            ("LOCALHOST", ("localhost", 8000)),
            ("[::1]:90", ("::1", 90)),
            (":5000", ("0.0.0.0", 5000)),
            ("unix:/a/b", "/a/b"),
            ("unix:///a", "/a"),
            ("fd://3", 3),
            ("tcp://h:1", ("h", 1)),
        ]:
            self.assertEqual(view.parse_address(bind), address)

    def test_what_the_server_has_not(self):
        server = view.Server()
        server.cfg = config.Config({"certfile": None}, config.ConfigFile(), None, "sync")
        server.update({"pid": 5, "address": ["h:1"], "num_workers": 2})
        self.assertEqual((server.pid, server.address, str(server.LISTENERS[0])), (5, [("h", 1)], "http://h:1"))
        server.cfg = config.Config({"certfile": "x"}, config.ConfigFile(), None, "sync")
        self.assertEqual(str(server.LISTENERS[0]), "https://h:1")
        for get, text in [
            (lambda: server.manage_workers, "Indrik has no server.manage_workers: the master does so"),
            (lambda: server.LISTENERS[0].sock, "Indrik has no listener.sock: the sockets belong to"),
            (lambda: server.LISTENERS[0].bind, "Indrik has no listener.bind: the sockets belong to"),
            (lambda: server.nix, "'Server' object has no attribute 'nix'"),
        ]:
            with self.assertRaises(AttributeError) as e:
                get()
            self.assertIn(text, str(e.exception))

    def test_addresses_that_are_odd(self):
        for bind, address in [
            ("fd://x", "fd://x"),
            ("h:x", ("h", 8000)),
            ("[::1]", ("::1", 8000)),
            ("", ("0.0.0.0", 8000)),
            ("tcp://[::1]:7", ("::1", 7)),
        ]:
            with self.subTest(bind):
                self.assertEqual(view.parse_address(bind), address)


class Listeners(unittest.TestCase):
    def test_names(self):
        server = view.Server()
        server.cfg = mock.Mock(is_ssl=False)
        server.update({"address": ["unix:/run/s", "h:1"]})
        names = [(str(listener), listener.getsockname()) for listener in server.LISTENERS]
        self.assertEqual(names, [("unix:/run/s", "/run/s"), ("http://h:1", ("h", 1))])


class Servers(unittest.TestCase):
    def setUp(self):
        self.server = view.Server()

    def test_what_the_master_tells(self):
        self.server.update({"pid": 5, "num_workers": 2, "proc_name": "shop", "master_name": "Master.2", "nix": 1})
        self.assertEqual((self.server.pid, self.server.num_workers), (5, 2))
        self.assertEqual((self.server.proc_name, self.server.master_name), ("shop", "Master.2"))
        self.assertFalse(hasattr(self.server, "nix"))
        self.server.update({"num_workers": 3})
        self.assertEqual((self.server.pid, self.server.num_workers), (5, 3))

    def test_before_anything_is_bound(self):
        self.server.update({"address": []})
        self.assertEqual((self.server.address, self.server.LISTENERS), ([], []))
        self.server.cfg = mock.Mock(address=[("h", 1)])
        self.server.update({"address": []})
        self.assertEqual((self.server.address, self.server.LISTENERS), ([("h", 1)], []))

    def test_settings(self):
        self.server.cfg = mock.Mock(timeout=7, worker_class="sync")
        self.assertEqual((self.server.timeout, self.server.worker_class), (7, "sync"))

    def test_signals_to_workers(self):
        pid = os.fork()
        if pid == 0:
            signal.pause()
        self.server.kill_worker(pid, signal.SIGKILL)
        self.assertEqual(os.waitpid(pid, 0)[1], signal.SIGKILL)
        self.server.kill_worker(pid, signal.SIGKILL)  # it is gone

    def test_other_workers(self):
        self.server.cfg, self.server.log, self.server.pid = mock.Mock(), mock.Mock(), 5
        worker = view.OtherWorker(self.server, 10, 3)
        self.assertEqual((worker.pid, worker.age, worker.ppid, str(worker)), (10, 3, 5, "<Worker 10>"))
        self.assertIs(worker.cfg, self.server.cfg)
        worker.tmp.notify()
        before = time.monotonic()
        self.assertGreaterEqual(worker.tmp.last_update(), before)
        worker.tmp.close()
        self.assertRaisesRegex(AttributeError, r"^Indrik has no otherworker\.|has no attribute", lambda: worker.nix)
