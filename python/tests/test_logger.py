"""The logger as hooks and classes of one's own know it: atoms, users, handlers and files."""

import base64
import datetime
import io
import logging
import os
import shutil
import sys
import tempfile
import unittest
from unittest import mock

from indrik import config, glogging, log
from indrik.logdefaults import LogConfigError

TOOK = datetime.timedelta(seconds=1, microseconds=2003)


def environ(**more):
    return dict(
        {
            "REQUEST_METHOD": "GET",
            "RAW_URI": "/a?b",
            "PATH_INFO": "/a",
            "QUERY_STRING": "b",
            "SERVER_PROTOCOL": "HTTP/1.1",
        },
        **more,
    )


class LoggerTest(unittest.TestCase):
    def setUp(self):
        self.dir = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)
        self.path = os.path.join(self.dir, "log")
        self.addCleanup(self.restore)
        self.logger = glogging.Logger(self.settings())

    def restore(self):
        for name in ("gunicorn.error", "gunicorn.access", "uvicorn", "uvicorn.access", "mine"):
            logger = logging.getLogger(name)
            logger.setLevel(logging.NOTSET)
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
                handler.close()

    def settings(self, **more):
        values = {"errorlog": self.path, "loglevel": "info", "accesslog": None, "proc_name": "m:a"}
        values["access_log_format"] = "%(r)s %(s)s"
        return config.Config(dict(values, **more), config.ConfigFile(), None, "sync")

    def read(self, suffix=""):
        with open(self.path + suffix) as f:
            return f.read()

    def atoms(self, response=None, request=(), **more):
        response = response or mock.Mock(status="200 OK", sent=5, headers=[], pid=7)
        return self.logger.atoms(response, request, environ(**more), TOOK)


class Atoms(LoggerTest):
    def test_what_is_not_there(self):
        atoms = self.atoms()
        self.assertEqual([atoms[name] for name in "hlufa"], ["-"] * 5)

    def test_times(self):
        atoms = self.atoms()
        self.assertEqual([atoms[name] for name in "TDML"], [1, 1002003, 1002, "1.002003"])
        self.assertRegex(atoms["t"], r"^\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]$")

    def test_statuses(self):
        for status, want in [("404 Not Found", "404"), (b"200 OK", "200"), ("", ""), (503, 503), (None, None)]:
            atoms = self.atoms(mock.Mock(status=status, headers=[]))
            self.assertEqual(atoms["s"], want)

    def test_sizes(self):
        for sent, want in (0, "0"), (5, "5"), (None, "-"):
            atoms = self.atoms(mock.Mock(status="200", sent=sent, headers=[]))
            self.assertEqual((atoms["b"], atoms["B"]), (want, sent))

    def test_headers(self):
        response = mock.Mock(status="200", headers={"X-Out": "o"})
        for request in mock.Mock(headers=[("X-IN", "i")]), [("x-in", "i")], {"X-In": "i"}:
            atoms = self.atoms(response, request, HTTP_COOKIE="c")
            self.assertEqual((atoms["{x-in}i"], atoms["{x-out}o"], atoms["{http_cookie}e"]), ("i", "o", "c"))

    def test_pid(self):
        self.assertEqual(self.atoms()["p"], "<7>")
        anybody = mock.Mock(spec=["status", "headers"], status="", headers=[])
        self.assertEqual(self.atoms(anybody)["p"], "<%d>" % os.getpid())

    def test_users(self):
        def basic(text):
            return "Basic " + base64.b64encode(text).decode()

        for value, user in [
            (basic(b"anna:secret"), "anna"),
            (basic(b"anna"), "anna"),
            ("basic  " + base64.b64encode(b"b:c").decode() + " ", "b"),
            (basic(b"\xff:x"), "\ufffd"),
            (basic(b":x"), "-"),
            ("Bearer abc", "-"),
            ("", "-"),
            ("Basic !", "-"),
            ("Basic YQ", "-"),
            ("Basic \u20ac", "-"),
        ]:
            with self.subTest(value):
                self.assertEqual(self.atoms(HTTP_AUTHORIZATION=value)["u"], user)

    def test_what_a_format_may_refer_to(self):
        atoms = self.logger.atoms_wrapper_class({"a": 'q"', "n": 5, "{x}i": "y"})
        self.assertEqual("%(a)s %(n)s %({X}i)s %(nix)s" % atoms, 'q\\" 5 y -')


class Access(LoggerTest):
    RESPONSE = mock.Mock(status="200 OK", sent=5, headers=[], pid=7)

    def lines(self, **more):
        self.logger.setup(self.settings(accesslog=self.path + ".access", **more))
        self.logger.access(self.RESPONSE, (), environ(), TOOK)
        return self.read(".access")

    def test_line(self):
        self.assertEqual(self.lines(), "GET /a?b HTTP/1.1 200\n")

    def test_json(self):
        self.assertIn('"method": "GET"', self.lines(log_format="json"))
        self.assertIn('"http.request.method": "GET"', self.lines(log_format="ecs"))

    def test_format_that_cannot_be_used(self):
        with mock.patch("sys.stderr", io.StringIO()) as said:
            self.assertEqual(self.lines(access_log_format="%(s)q"), "")
        self.assertIn("unsupported format character 'q'", said.getvalue())

    def test_class_that_raises(self):
        self.logger.setup(self.settings(accesslog=self.path + ".access"))
        with mock.patch.object(self.logger.access_log, "info", side_effect=ValueError("no format")):
            self.logger.access(self.RESPONSE, (), environ(), TOOK)
        self.assertIn("ValueError: no format", self.read())

    def test_when_there_are_lines(self):
        for settings, enabled in [
            ({}, False),
            ({"accesslog": "-"}, True),
            ({"logconfig": "x.ini"}, True),
            ({"logconfig_json": "x.json"}, True),
            ({"logconfig_dict": {"version": 1}}, True),
            ({"syslog": True}, True),
            ({"syslog": True, "disable_redirect_access_to_syslog": True}, False),
        ]:
            self.logger.cfg = self.settings(**settings)
            self.assertIs(self.logger.access_log_enabled, enabled, settings)


class Levels(LoggerTest):
    def test_methods(self):
        for name in "critical", "error", "warning", "info":
            getattr(self.logger, name)("by %s", name)
            self.assertIn("[%s] by %s\n" % (name.upper(), name), self.read())
        self.logger.debug("not this")
        self.assertNotIn("not this", self.read())
        try:
            raise KeyError("kept")
        except KeyError:
            self.logger.exception("with its traceback")
        self.assertIn("KeyError: 'kept'\n", self.read())

    def test_names_of_levels(self):
        for level, word in ("WARNING", "WARNING"), ("error", "ERROR"), ("nix", "INFO"), (logging.CRITICAL, "CRITICAL"):
            self.logger.log(level, "level %s", level)
            self.assertIn("[%s] level %s\n" % (word, level), self.read())

    def test_setting(self):
        for name, level in ("DEBUG", logging.DEBUG), ("error", logging.ERROR), ("nix", logging.INFO):
            self.logger.setup(self.settings(loglevel=name))
            self.assertEqual((self.logger.loglevel, self.logger.error_log.level), (level, level))


class Files(LoggerTest):
    def test_handlers_are_exchanged(self):
        old = self.logger._get_gunicorn_handler(self.logger.error_log)
        self.logger.setup(self.settings(errorlog=self.path + ".2"))
        self.assertEqual(old.stream.fd, -1)
        (handler,) = self.logger.error_log.handlers
        self.assertEqual(handler.stream.path, self.path + ".2")
        self.logger.setup(self.settings(errorlog=None))
        self.assertEqual(self.logger.error_log.handlers, [])

    def test_file_that_cannot_be_opened(self):
        with self.assertRaises(OSError):
            self.logger.setup(self.settings(errorlog=self.dir + "/nix/log"))
        self.logger.error("the old one goes on")
        self.assertIn("the old one goes on", self.read())

    def test_handlers_of_the_app(self):
        """They are opened again, too, wherever they are."""
        paths = [os.path.join(self.dir, name) for name in ("mine", "behind")]
        direct, behind = (logging.FileHandler(path) for path in paths)
        memory = logging.handlers.MemoryHandler(0, target=behind)
        for handler in direct, memory:
            logging.getLogger("mine").addHandler(handler)
        self.addCleanup(behind.close)
        for path in paths:
            os.rename(path, path + ".1")
        self.logger.reopen_files()
        logging.getLogger("mine").error("after")
        for path in paths:
            with open(path) as f:
                self.assertEqual(f.read(), "after\n")

    def test_file_that_cannot_be_opened_again(self):
        handler = logging.FileHandler(os.path.join(self.dir, "mine"))
        logging.getLogger("mine").addHandler(handler)
        with mock.patch.object(glogging, "_reopen", side_effect=PermissionError(13, "Permission denied")):
            self.logger.reopen_files()
        self.assertIn("cannot open the log %s again: [Errno 13]" % handler.baseFilename, self.read())

    def test_captured_output(self):
        pid = os.fork()
        if pid == 0:
            try:
                self.logger.setup(self.settings(capture_output=True))
                os.write(1, b"a print\n")
                os.rename(self.path, self.path + ".1")
                self.logger.reopen_files()
                os.write(2, b"an error\n")
                self.logger.setup(self.settings())
                self.assertIsNone(self.logger.logfile)
                os._exit(0)
            finally:
                os._exit(1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual((self.read(".1"), self.read()), ("a print\n", "an error\n"))

    def test_standard_streams(self):
        self.logger.setup(self.settings(errorlog="-", accesslog="-", capture_output=True))
        streams = [log_.handlers[0].stream for log_ in (self.logger.error_log, self.logger.access_log)]
        self.assertEqual([(s.path, s.fd) for s in streams], [(None, 2), (None, 1)])
        self.assertIsNone(self.logger.logfile)


class Configured(LoggerTest):
    def test_error_of_the_app(self):
        """The operator sees the cause, as dictConfig names only the handler."""
        broken = {"handlers": {"x": {"class": "logging.FileHandler", "filename": self.dir + "/nix/log"}}}
        with self.assertRaisesRegex(LogConfigError, r"^Unable to configure handler 'x': .*No such file or directory"):
            self.logger.setup(self.settings(logconfig_dict=broken))

    def test_dictionary_goes_first(self):
        with mock.patch("indrik.logconf.apply") as apply:
            self.logger.setup(self.settings(logconfig_dict={"version": 1}, logconfig_json="/nix.json"))
        apply.assert_called_once_with({"version": 1}, None)

    def test_syslog_goes_again(self):
        settings = {"syslog": True, "syslog_addr": "udp://127.0.0.1:1", "syslog_facility": "user", "syslog_prefix": "p"}
        self.logger.setup(self.settings(**settings))
        handlers = [h for h in self.logger.error_log.handlers if getattr(h, "_indrik_syslog", False)]
        self.assertEqual([h.formatter._fmt for h in handlers], ["gunicorn.p.error: [%(process)d] %(message)s"])
        self.assertEqual(len(self.logger.access_log.handlers), 1)
        self.logger.setup(self.settings(disable_redirect_access_to_syslog=True, **settings))
        self.assertEqual(len(self.logger.access_log.handlers), 0)
        self.logger.setup(self.settings())
        self.assertFalse([h for h in self.logger.error_log.handlers if getattr(h, "_indrik_syslog", False)])


class Prints(unittest.TestCase):
    def test_flush_before_a_redirection(self):
        order = []
        logger = mock.Mock(fileno=lambda: 9)
        with mock.patch.object(glogging, "flush", lambda: order.append("flush")):
            with mock.patch.object(os, "dup2", lambda *fds: order.append(fds)):
                glogging.Logger._redirect(mock.Mock(), logger)
        self.assertEqual(order, ["flush", (9, 1), (9, 2)])
        with mock.patch("sys.stdout", io.StringIO()) as out:
            print("x", end="")
            log.flush()
            self.assertEqual((out.getvalue(), sys.stdout), ("x", out))
