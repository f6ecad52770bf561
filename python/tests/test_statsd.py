"""The logger with statsd_host, and the addresses that this setting means."""

import logging
import os
import shutil
import socket
import tempfile
import unittest
from unittest import mock

from indrik import statsd
from indrik.glogging import Logger

from . import support


class Addresses(unittest.TestCase):
    def test_forms(self):
        for host, want in [
            ("HOST", (socket.AF_INET, ("host", 8125))),
            ("host:1", (socket.AF_INET, ("host", 1))),
            (("host", 7), (socket.AF_INET, ("host", 7))),
            (["host", 7], (socket.AF_INET, ("host", 7))),
            ("unix:///run/s", (socket.AF_UNIX, "/run/s")),
            ("unix:/run/s", (socket.AF_UNIX, "/run/s")),
        ]:
            with self.subTest(host):
                self.assertEqual(statsd.address(host), want)
        self.assertRaises(ValueError, statsd.address, "host:x")

    def test_what_cannot_be_reached(self):
        """It must not keep the server from starting."""
        for host in None, "", "unix:/nix/s", "host:x", "no.such.host.invalid:1":
            with self.subTest(host):
                self.assertIsNone(statsd._connect(host))


class Metrics(unittest.TestCase):
    """What the calls of the logger send; it writes lines as any other does."""

    def setUp(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "s")
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.server.close)
        self.server.bind(path)
        self.server.settimeout(support.LIMIT)
        self.path = path
        self.settings = {"statsd_host": "unix:" + path, "statsd_prefix": "", "dogstatsd_tags": None}
        setup = mock.patch.object(Logger, "setup")
        setup.start()
        self.addCleanup(setup.stop)
        self.logger = statsd.Statsd(mock.Mock(get=self.settings.get))
        self.addCleanup(lambda: self.logger.sock and self.logger.sock.close())
        self.logger.error_log = logging.Logger("error", logging.INFO)  # noqa: LOG001 - of this test alone
        self.lines = []
        self.logger.error_log.addHandler(
            mock.Mock(level=0, handle=lambda r: self.lines.append((r.levelname, r.getMessage())))
        )

    def sent(self):
        return self.server.recv(1000).decode()

    def nothing_was_sent(self):
        self.server.setblocking(False)
        self.assertRaises(BlockingIOError, self.server.recv, 1000)

    def test_lines_are_counted(self):
        for name in "critical", "error", "warning", "exception":
            getattr(self.logger, name)("said %s", name)
            self.assertEqual(self.sent(), "gunicorn.log.%s:1|c|@1.0" % name)
        levels = ["CRITICAL", "ERROR", "WARNING", "ERROR"]
        self.assertEqual([level for level, _ in self.lines], levels)
        self.logger.info("plain")
        self.logger.debug("plain")
        self.assertEqual(self.lines[-1], ("INFO", "plain"))
        self.nothing_was_sent()

    def test_metrics_of_calls(self):
        for kind, value, want in [
            ("gauge", 5, "m:5|g"),
            ("counter", 2, "m:2|c|@1.0"),
            ("histogram", 1.5, "m:1.5|h"),
            ("timer", 7, "m:7|ms"),
        ]:
            self.logger.info("", extra={"metric": "m", "value": value, "mtype": kind})
            self.assertEqual(self.sent(), want)
        self.assertEqual(self.lines, [])  # a call may be about the metric alone
        self.logger.info("and a line", extra={"metric": "m", "value": 0, "mtype": "gauge"})
        self.assertEqual((self.sent(), self.lines), ("m:0|g", [("INFO", "and a line")]))

    def test_metrics_that_are_none(self):
        for extra in (
            {"metric": None, "value": 1, "mtype": "gauge"},
            {"metric": "m", "value": None, "mtype": "gauge"},
            {"metric": "m", "value": 1},
            {"metric": "m", "value": 1, "mtype": "nix"},
            {"other": 1},
        ):
            self.logger.info("said", extra=extra)
        self.nothing_was_sent()
        self.assertEqual(len(self.lines), 5)

    def test_decrement_and_rates(self):
        self.logger.decrement("m", 2)
        self.assertEqual(self.sent(), "m:-2|c|@1.0")
        self.logger.increment("m", 1, 0.25)
        self.assertEqual(self.sent(), "m:1|c|@0.25")
        self.logger.decrement("m", 1, 0.5)
        self.assertEqual(self.sent(), "m:-1|c|@0.5")

    def test_prefix_and_tags(self):
        self.settings.update(statsd_prefix="a.b..", dogstatsd_tags="env:test,x:y")
        old = self.logger.sock
        self.logger.setup(mock.Mock(get=self.settings.get))
        self.assertEqual(old.fileno(), -1)
        self.logger.gauge("m", 1)
        self.assertEqual(self.sent(), "a.b.m:1|g|#env:test,x:y")

    def test_name_that_is_no_text_of_utf8(self):
        self.logger.gauge("m\udc80", 1)
        self.assertEqual(self.sent(), "m\\udc80:1|g")

    def test_server_that_has_gone(self):
        self.server.close()
        self.logger.gauge("m", 1)
        self.assertEqual(self.lines, [("WARNING", "Error sending message to statsd")])

    def test_without_a_server(self):
        self.logger.sock.close()
        self.logger.sock = None
        self.logger.gauge("m", 1)
        self.logger.warning("said")
        self.assertEqual(self.lines, [("WARNING", "said")])

    def test_extra_that_is_no_dictionary(self):
        self.logger.info("said", extra=5)
        self.assertEqual(self.lines, [("WARNING", "Failed to log to statsd")])
