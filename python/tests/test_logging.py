"""The loggers, their files and their classes."""

import datetime
import io
import logging
import os
import shutil
import socket
import sys
import tempfile
import unittest
from unittest import mock

from indrik import config, glogging, log, logsetup

from . import support


class Log(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        self.path = os.path.join(self.dir, "log")
        self.addCleanup(self.restore)

    def restore(self):
        for name in ("gunicorn.error", "gunicorn.access", None):
            logger = logging.getLogger(name)
            logger.setLevel(logging.NOTSET if name else logging.WARNING)
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
                handler.close()

    def setting(self, **settings):
        values = {
            "errorlog": self.path,
            "loglevel": "info",
            "accesslog": None,
            "proc_name": "m:a",
            "access_log_format": "%(m)s %(s)s %({x-id}i)s %({Y}o)s %(nix)s",
        }
        return config.Config(dict(values, **settings), config.ConfigFile(), None, "sync")

    def read(self, path=None):
        with open(path or self.path) as f:
            return f.read()

    def test_a_pipe_without_a_reader(self):
        path = os.path.join(tempfile.mkdtemp(), "pipe")
        self.addCleanup(shutil.rmtree, os.path.dirname(path))
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        stream = log.Stream(path)
        self.assertTrue(os.get_blocking(stream.fileno()))
        os.close(reader)
        with self.assertRaises(OSError):
            stream.reopen()
        stream.close()

    def test_levels_files_and_reopening(self):
        logger = logsetup.make(self.setting())
        logger.debug("not this")
        logger.log("warning", "a %s", "b\u20ac")
        self.assertRegex(self.read(), r"^\[[-+: \d]+\] \[%d\] \[WARNING\] a b\u20ac\n$" % os.getpid())
        os.rename(self.path, self.path + ".1")
        logger.info("old")
        logger.reopen_files()
        logger.info("new")
        self.assertIn("old", self.read(self.path + ".1"))
        self.assertIn("new", self.read())
        # It cannot be opened: the old one goes on, and says so.
        with mock.patch.object(log, "open_for_appending", side_effect=PermissionError(13, "Permission denied")):
            logger.reopen_files()
        self.assertRegex(self.read(), r"cannot open the log .* again: \[Errno 13\] Permission denied")
        self.assertIs(logsetup.make(self.setting(errorlog=self.path + ".2", loglevel="ERROR"), logger), logger)
        logger.warning("not this")
        logger.error("this")
        self.assertNotIn("not", self.read(self.path + ".2"))
        with self.assertRaises(OSError):
            logsetup.make(self.setting(errorlog=self.dir + "/nix/log"), logger)
        logger.error("still here")
        self.assertIn("still here", self.read(self.path + ".2"))
        errors = log.Errors()
        errors.writelines(["x", "y\n"])
        self.assertTrue(self.read(self.path + ".2").endswith("xy\n"))
        self.assertRaises(TypeError, errors.write, b"bytes")

    def test_access(self):
        class Response:
            status, sent, headers, pid = "404 Not Found", 5, [("y", 'q"q')], 7

        class Request:
            headers = [("X-ID", "12")]

        environ = {
            "REQUEST_METHOD": "GET",
            "RAW_URI": "/a?b",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_AUTHORIZATION": "Basic dXNlcjpwYXNz",
        }
        took = datetime.timedelta(days=1, seconds=2, microseconds=3500)
        logger = logsetup.make(self.setting(accesslog=self.path + ".acc"))
        logger.access(Response, Request, environ, took)
        self.assertEqual(self.read(self.path + ".acc"), 'GET 404 12 q\\"q -\n')
        atoms = logger.atoms(Response, Request, environ, took)
        self.assertEqual(
            [atoms[k] for k in "ubBTDMLpr"],
            ["user", "5", 5, 86402, 86402003500, 86402003, "86402.003500", "<7>", "GET /a?b HTTP/1.1"],
        )
        off = logsetup.make(self.setting(), logger)
        off.access(Response, Request, environ, took)
        self.assertEqual(self.read(self.path + ".acc").count("\n"), 1)

    def test_configuration(self):
        stream = "ext://sys.stdout"
        settings = {
            "logconfig_dict": {
                "formatters": {"generic": {"format": "<%(message)s>"}},
                "handlers": {
                    "error_console": {"class": "logging.FileHandler", "filename": self.path, "formatter": "generic"},
                    "console": {"class": "logging.NullHandler"},
                },
            }
        }
        logger = logsetup.make(self.setting(**settings))
        self.assertTrue(logsetup.in_python(logger))
        logger.info("x")
        self.assertTrue(self.read().endswith("<x>\n"))
        # What is broken leaves what was there.
        for broken, error in [
            ({"logconfig_dict": {"handlers": {"x": {"class": "nix.Handler"}}}}, "Unable to configure handler 'x'.*nix"),
            ({"logconfig": "nix.ini"}, "^Error: log config 'nix.ini' not found$"),
            ({"logconfig_json": "nix.json"}, "^Error: log config 'nix.json' not found$"),
            ({"logger_class": "nix.Logger"}, r"^logger_class = 'nix.Logger': importing it failed:\nTraceback"),
            ({"syslog": True, "syslog_addr": "udp://localhost", "syslog_facility": "nix"}, "^unknown facility name$"),
            ({"syslog": True, "syslog_addr": "nix"}, "^invalid syslog address$"),
        ]:
            with self.subTest(broken), self.assertRaisesRegex(glogging.LogConfigError, error):
                logsetup.make(self.setting(**broken), logger)
            logger.info("still")
            self.assertTrue(self.read().endswith("<still>\n"))
        ini = self.path + ".ini"
        with open(ini, "w") as f:
            f.write(
                "[loggers]\nkeys=root,e\n[handlers]\nkeys=h\n[formatters]\nkeys=f\n[logger_root]\nhandlers=\n"
                "[logger_e]\nqualname=gunicorn.error\nhandlers=h\npropagate=0\n[formatter_f]\nformat=ini %(message)s\n"
                "[handler_h]\nclass=FileHandler\nformatter=f\nargs=('%(here)s/ini.log',)\n"
            )
        logsetup.make(self.setting(logconfig=ini), logger)
        logger.info("y")
        self.assertEqual(self.read(self.dir + "/ini.log"), "ini y\n")
        os.rename(self.dir + "/ini.log", self.dir + "/ini.log.1")
        logger.reopen_files()
        logger.info("z")
        self.assertEqual(self.read(self.dir + "/ini.log"), "ini z\n")
        self.assertEqual(stream, "ext://sys.stdout")

    def test_class_of_ones_own(self):
        class Own(glogging.Logger):
            def setup(self, cfg):
                super().setup(cfg)
                self._set_handler(self.error_log, cfg.errorlog, logging.Formatter("own %(message)s"))

        logger = logsetup.make(self.setting(logger_class=Own))
        logger.info("x")
        self.assertEqual(self.read(), "own x\n")
        self.assertTrue(logsetup.in_python(logger))
        plain = logsetup.make(self.setting(logger_class="gunicorn.glogging.Logger"), logger)
        self.assertIs(type(plain), glogging.Logger)
        self.assertFalse(logsetup.in_python(plain))

    def test_syslog(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            s.settimeout(support.LIMIT)
            logger = logsetup.make(
                self.setting(
                    syslog=True, syslog_addr="udp://127.0.0.1:%d" % s.getsockname()[1], syslog_facility="local3"
                )
            )
            logger.error("x")
            # local3 is 19, an error 3.
            self.assertEqual(s.recv(1000), b"<155>gunicorn.m.a.error: [%d] x\0" % os.getpid())

    def test_statsd(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(self.dir + "/s")
            s.settimeout(support.LIMIT)
            logger = logsetup.make(
                self.setting(statsd_host="unix:" + self.dir + "/s", statsd_prefix="a.b..", dogstatsd_tags="t:1")
            )
            logger.warning("x")
            logger.info("", extra={"metric": "m", "value": 0, "mtype": "gauge"})
            logger.info("no metric", extra={"metric": "m", "value": 0, "mtype": "nix"})
            logger.timer("t", 1.5)
            self.assertEqual(
                [s.recv(1000) for _ in range(3)],
                [b"a.b.gunicorn.log.warning:1|c|@1.0|#t:1", b"a.b.m:0|g|#t:1", b"a.b.t:1.5|ms|#t:1"],
            )
        self.assertIn("[WARNING] x\n", self.read())
        logger.sock.close()

    def test_flush(self):
        with mock.patch("sys.stdout", io.StringIO()) as closed:
            closed.close()
            log.flush()

    def test_hint(self):
        def text(statement):
            try:
                exec(statement)
            except ImportError as e:
                return log.app_traceback(e)

        with mock.patch.dict(sys.modules, {"gunicorn": None}):
            self.assertIn("\nHint: of Gunicorn's modules Indrik has what ", text("import gunicorn"))
        self.assertIn("\nHint: of Gunicorn's modules", text("from indrik.compat.util import there_is_no_such"))
        self.assertNotIn("Hint", text("import nix_gunicorn"))
