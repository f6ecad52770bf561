"""The process that writes the lines of the master and of the front."""

import json
import logging
import os
import shutil
import signal
import tempfile
import unittest
from unittest import mock

from indrik import config, hooks, log, logsetup, view
from indrik.loggerprocess import LoggedResponse, LoggerProcess

from . import support

HTTP = {"wsgi.url_scheme": "http", "SERVER_PROTOCOL": "HTTP/1.1"}


class Responses(unittest.TestCase):
    def test_fields(self):
        response = LoggedResponse(
            {"status": "404 Not Found", "response": [["Content-Length", "12"], ["X", "y"]], "sent": 5, "pid": 7}
        )
        self.assertEqual((response.status, response.status_code), ("404 Not Found", 404))
        self.assertEqual((response.sent, response.response_length, response.pid), (5, 12, 7))
        self.assertEqual(response.headers, [("Content-Length", "12"), ("X", "y")])
        self.assertTrue(response.headers_sent)

    def test_what_is_not_there(self):
        response = LoggedResponse({"status": "???", "response": None, "pid": 7})
        self.assertEqual((response.status_code, response.headers, response.sent), (None, [], 0))
        self.assertIsNone(response.response_length)
        response = LoggedResponse({"status": "200", "response": [["CONTENT-LENGTH", "many"]], "pid": 7})
        self.assertEqual((response.status_code, response.response_length), (200, None))

    def test_what_gunicorns_has_more(self):
        response = LoggedResponse({"status": "200 OK", "pid": 7})
        self.assertRaises(AttributeError, lambda: response.nix)


class Records(unittest.TestCase):
    """The records of other processes are written as theirs."""

    def setUp(self):
        self.addCleanup(logging.setLogRecordFactory, logging.getLogRecordFactory())
        server = mock.Mock()
        self.log = server.log
        (ours, records), (other, control) = support.pair(), support.pair()
        self.process = LoggerProcess(records.detach(), control.detach(), -1, server, server.cfg)
        for sock in ours, other, self.process.sock, self.process.control.sock:
            self.addCleanup(sock.close)

    def test_levels(self):
        for level, name in (10, "debug"), (20, "info"), (30, "warning"), (40, "error"), (50, "critical"), (35, "info"):
            self.process.write({"level": level, "message": "said", "pid": 1, "role": "front", "time": 1.0})
            getattr(self.log, name).assert_called_with("said")
            self.log.reset_mock()

    def test_stamps(self):
        self.process._stamp_records()
        before = logging.LogRecord("x", 20, "f", 1, "m", (), None)
        made = logging.getLogger("x").makeRecord("x", 20, "f", 1, "m", (), None)
        self.assertEqual(made.process, before.process)  # nobody else's yet
        self.process.stamp = {"pid": 99, "role": "front", "time": 1700000000.25}
        made = logging.getLogger("x").makeRecord("x", 20, "f", 1, "m", (), None)
        self.assertEqual((made.process, made.processName), (99, "front"))
        self.assertEqual((made.created, made.msecs), (1700000000.25, 250.0))

    def test_access(self):
        self.process.write(
            {
                "pid": 99,
                "role": "front",
                "time": 1.0,
                "micros": 1500,
                "status": "200 OK",
                "sent": 3,
                "environ": {"REQUEST_METHOD": "GET", "RAW_URI": "/a?b", "PATH_INFO": "/a", "QUERY_STRING": "b", **HTTP},
                "request": [["Host", "h"], ["X-A", "1"], ["x-a", "2"], ["Content-Type", "t"], ["Content-Length", "4"]],
                "response": [["A", "b"]],
                "atoms": {"queue": "0.001000"},
            }
        )
        (response, request, environ, took), _ = self.log.access.call_args
        self.assertEqual((response.status_code, response.sent), (200, 3))
        self.assertEqual(response.atoms, {"queue": "0.001000"})
        self.assertEqual(
            {k: environ[k] for k in ("HTTP_HOST", "HTTP_X_A", "CONTENT_TYPE", "CONTENT_LENGTH", "wsgi.input")},
            {"HTTP_HOST": "h", "HTTP_X_A": "1,2", "CONTENT_TYPE": "t", "CONTENT_LENGTH": "4", "wsgi.input": None},
        )
        self.assertEqual(request.headers[:3], [("HOST", "h"), ("X-A", "1"), ("X-A", "2")])
        self.assertEqual((request.method, took.total_seconds()), ("GET", 0.0015))


class Process(unittest.TestCase):
    """A process of its own, as the spawner forks it."""

    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        self.path = os.path.join(self.dir, "log")
        self.records, records = support.pair()
        self.control, control = support.pair()
        dump = support.memory(0)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.records.close()
                self.control.close()
                self.run_logger(records.detach(), control.detach(), dump)
            finally:
                os._exit(9)
        for sock in records, control:
            sock.close()
        os.close(dump)
        self.addCleanup(self.end)

    def run_logger(self, records, control, dump):
        settings = {
            "errorlog": self.path,
            "loglevel": "info",
            "accesslog": self.path + ".access",
            "access_log_format": '%(h)s "%(r)s" %(s)s %(B)s %({x}i)s %(p)s',
            "proc_name": "shop",
        }
        server = view.Server()
        server.cfg = config.Config(settings, config.ConfigFile(), None, "sync")
        server.log = logsetup.make(server.cfg)
        server.update({"proc_name": "shop"})
        LoggerProcess(records, control, dump, server, server.cfg).main()

    def end(self):
        for sock in self.records, self.control:
            sock.close()
        if self.pid:
            _, status = os.waitpid(self.pid, 0)
            self.assertEqual(status, 0)

    def ended(self):
        """Returns the exit status of the process, which nobody writes to any more."""
        self.records.close()
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return status

    def send(self, **fields):
        stamp = {"pid": 99, "role": "front", "time": 1700000000.5}
        support.send(self.records, json.dumps(dict(stamp, **fields)).encode())

    def read(self, suffix=""):
        if not os.path.exists(self.path + suffix):
            return ""
        with open(self.path + suffix) as f:
            return f.read()

    def synced(self):
        """Waits until the process is between two lines; another one may be on its way."""
        support.send(self.control, b'{"type": "ping"}')
        self.assertEqual(json.loads(support.receive(self.control)[0]), {"type": "ok"})

    def test_lines(self):
        self.send(level=20, message="a line")
        self.send(level=10, message="not this one")
        self.send(
            status="404 Not Found",
            micros=5,
            sent=12,
            request=[["X", "y"]],
            response=[],
            environ={
                "REQUEST_METHOD": "GET",
                "RAW_URI": "/",
                "PATH_INFO": "/",
                "QUERY_STRING": "",
                **HTTP,
                "REMOTE_ADDR": "::1",
            },
        )
        self.assertEqual(self.ended(), 0)
        self.assertRegex(self.read(), r"^\[[^\]]+\] \[99\] \[INFO\] a line\n$")
        self.assertEqual(self.read(".access"), '::1 "GET / HTTP/1.1" 404 12 y <99>\n')

    def test_record_that_cannot_be_written(self):
        support.send(self.records, b"{")
        self.send(level=20)
        self.send(level=40, message="the next one")
        self.assertEqual(self.ended(), 0)
        self.assertEqual(self.read().count("Exception in the logger\nTraceback"), 2)
        self.assertIn("the next one", self.read())

    def test_master_that_asks_and_goes(self):
        self.synced()
        self.control.close()
        self.send(level=20, message="still there")
        self.assertEqual(self.ended(), 0)
        self.assertIn("still there", self.read())

    def test_signals(self):
        """Those of the master are not this process's; SIGUSR1 opens the files again."""
        self.send(level=20, message="before")
        while "before" not in self.read():
            self.synced()
        for name in hooks.MASTER_SIGNALS:
            os.kill(self.pid, getattr(signal, name))
        self.synced()
        os.rename(self.path, self.path + ".1")
        os.kill(self.pid, signal.SIGUSR1)
        while not os.path.exists(self.path):
            self.synced()
        self.send(level=20, message="after")
        self.assertEqual(self.ended(), 0)
        self.assertIn("before", self.read(".1"))
        self.assertIn("after", self.read())


class Flush(unittest.TestCase):
    def test_streams_that_the_app_has_broken(self):
        with mock.patch("sys.stdout", object()), mock.patch("sys.stderr") as stderr:
            log.flush()
        stderr.flush.assert_called_once_with()
