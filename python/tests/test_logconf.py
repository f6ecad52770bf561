"""Configurations of Python's logging in files, and syslog."""

import json
import logging
import os
import shutil
import socket
import tempfile
import unittest
from unittest import mock

from indrik import logconf
from indrik.logdefaults import CONFIG_DEFAULTS, LogConfigError

from . import support


class Directory(unittest.TestCase):
    def setUp(self):
        self.dir = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path


class Files(Directory):
    def test_json(self):
        path = self.file("log.json", '{"version": 1, "x": "\u20ac"}')
        self.assertEqual(logconf.from_json(path), {"version": 1, "x": "\u20ac"})

    def test_json_that_is_none(self):
        with self.assertRaisesRegex(LogConfigError, "^Error: log config '/nix.json' not found$"):
            logconf.from_json("/nix.json")
        path = self.file("log.json", "{")
        with self.assertRaisesRegex(LogConfigError, "^log config '%s': Expecting property name" % path):
            logconf.from_json(path)
        for text in "[]", "5", '"x"', "null":
            path = self.file("log.json", text)
            with self.assertRaisesRegex(LogConfigError, "^log config '%s' is no object$" % path):
                logconf.from_json(path)

    def test_dictionary_over_the_defaults(self):
        chosen = {"handlers": {"mine": {"class": "logging.NullHandler"}}}
        with mock.patch.object(logging.config, "dictConfig") as configure:
            logconf.apply(chosen, "/nix.ini")  # the file does not count
        (config,), _ = configure.call_args
        self.assertEqual(config["handlers"], chosen["handlers"])
        for name in set(CONFIG_DEFAULTS) - {"handlers"}:
            self.assertEqual(config[name], CONFIG_DEFAULTS[name])

    def test_ini(self):
        path = self.file("log.ini", "")
        with mock.patch.object(logging.config, "fileConfig") as configure:
            logconf.apply(None, path)
        configure.assert_called_once_with(
            path, defaults={"__file__": path, "here": self.dir}, disable_existing_loggers=False
        )
        with self.assertRaisesRegex(LogConfigError, "^Error: log config '/nix.ini' not found$"):
            logconf.apply({}, "/nix.ini")


class Addresses(unittest.TestCase):
    def test_forms(self):
        datagram, stream = socket.SOCK_DGRAM, socket.SOCK_STREAM
        for text, want in [
            ("unix:///dev/log", (None, "/dev/log")),
            ("unix:///dev/log#dgram", (datagram, "/dev/log")),
            ("unix:///dev/log#stream", (stream, "/dev/log")),
            ("unix:///dev/log#other", (None, "/dev/log#other")),
            ("unix://relative", (None, "relative")),
            ("udp://HOST", (datagram, ("host", 514))),
            ("udp://host:1", (datagram, ("host", 1))),
            ("tcp://host:1", (stream, ("host", 1))),
            ("tcp://host:1/path", (stream, ("host", 1))),
            ("udp://:1", (datagram, ("localhost", 1))),
            ("udp://[::1]", (datagram, ("::1", 514))),
            ("udp://[::1]:7", (datagram, ("::1", 7))),
        ]:
            with self.subTest(text):
                self.assertEqual(logconf.parse_syslog_address(text), want)

    def test_what_is_none(self):
        for text in "", "host", "udp://", "ftp://host", None, 5:
            with self.subTest(text), self.assertRaisesRegex(LogConfigError, "^invalid syslog address$"):
                logconf.parse_syslog_address(text)
        for text, port in ("udp://host:x", "x"), ("tcp://host:", ""), ("udp://[::1]:x", "x"):
            with self.subTest(text), self.assertRaisesRegex(LogConfigError, "^%r is not a valid port number" % port):
                logconf.parse_syslog_address(text)


class Syslog(Directory):
    def handler(self, addr, facility="user"):
        handler = logconf.syslog_handler(mock.Mock(syslog_addr=addr, syslog_facility=facility))
        self.addCleanup(handler.close)
        return handler

    def record(self):
        return logging.LogRecord("x", logging.ERROR, "f", 1, "said", (), None)

    def test_datagrams(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            s.settimeout(support.LIMIT)
            self.handler("udp://127.0.0.1:%d" % s.getsockname()[1], "LOCAL7").handle(self.record())
            self.assertEqual(s.recv(100), b"<187>said\0")  # 23 * 8 + 3

    def test_unix_socket(self):
        path = os.path.join(self.dir, "log")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            s.settimeout(support.LIMIT)
            handler = self.handler("unix://" + path)
            handler.handle(self.record())
            self.assertEqual(s.recv(100), b"<11>said\0")
        os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            s.settimeout(support.LIMIT)
            handler.handle(self.record())
            self.assertEqual(s.recv(100), b"<11>said\0")  # syslog was restarted

    def test_what_cannot_be_had(self):
        with self.assertRaisesRegex(LogConfigError, "^unknown facility name$"):
            self.handler("udp://127.0.0.1:1", "nix")
        refused = mock.patch.object(logconf, "SysLogHandler", side_effect=ConnectionRefusedError(111, "refused"))
        with refused, self.assertRaisesRegex(LogConfigError, r"^syslog tcp://host:1: \[Errno 111\] refused$"):
            self.handler("tcp://host:1")

    def test_stream_that_comes_back(self):
        """Nothing is said of what was lost: the error log would be full of it."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.settimeout(support.LIMIT)
            handler = self.handler("tcp://127.0.0.1:%d" % listener.getsockname()[1])
            first, _ = listener.accept()
            with first:
                handler.handle(self.record())
                self.assertEqual(first.recv(100), b"<11>said\0")
            with mock.patch("sys.stderr") as stderr:
                handler.socket.close()
                handler.handle(self.record())  # is lost, and connects anew
                second, _ = listener.accept()
                with second:
                    handler.handle(self.record())
                    self.assertEqual(second.recv(100), b"<11>said\0")
                self.assertEqual(stderr.mock_calls, [])

    def test_stream_that_stays_away(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            handler = self.handler("tcp://127.0.0.1:%d" % listener.getsockname()[1])
        handler.socket.close()
        with mock.patch("sys.stderr") as stderr:
            handler.handle(self.record())
        self.assertEqual(stderr.mock_calls, [])


class Whole(Directory):
    """The way from the settings to a line."""

    def test_file_of_the_setting_logconfig_json(self):
        path = os.path.join(self.dir, "out")
        loggers = {"mine": {"handlers": ["file"], "level": "INFO", "propagate": False}}
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "root": {"level": "WARNING", "handlers": []},
            "loggers": loggers,
            "formatters": {"plain": {"format": "%(levelname)s %(message)s"}},
            "handlers": {"file": {"class": "logging.FileHandler", "filename": path, "formatter": "plain"}},
        }
        logconf.apply(logconf.from_json(self.file("log.json", json.dumps(config))), "")
        logger = logging.getLogger("mine")
        (handler,) = logger.handlers
        self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(handler.close)
        logger.info("a line")
        logger.debug("none")
        with open(path) as f:
            self.assertEqual(f.read(), "INFO a line\n")
