"""What the lines of the loggers look like, and where they go."""

import importlib.util
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import unittest
from unittest import mock

from indrik import log, title

BEGAN = 1700000000.25  # 2023-11-14 22:13:20 UTC


def record(message="said", *args, level=logging.INFO, name="gunicorn.error", exc_info=None):
    made = logging.LogRecord(name, level, "file.py", 1, message, args, exc_info)
    made.created = BEGAN
    made.process = 7
    return made


def raised(error):
    """Returns what sys.exc_info() gives in a handler of the error."""
    try:
        raise error
    except type(error):
        return sys.exc_info()


class Zone(unittest.TestCase):
    """The server was started in a zone, which the app changes for its process."""

    def setUp(self):
        zone = os.environ.get("TZ")
        self.addCleanup(self.restore, zone)
        patched = mock.patch.multiple(log, _ZONE=None, _zone=None, _OFFSET=-3600)
        patched.start()
        self.addCleanup(patched.stop)

    def restore(self, zone):
        self.tz(zone)

    def tz(self, zone):
        if zone is None:
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = zone
        time.tzset()

    def test_unchanged(self):
        self.tz("Etc/GMT-5")
        log._ZONE = "Etc/GMT-5"
        self.assertEqual(log.local(BEGAN).tm_hour, 3)
        self.assertEqual(log.local(BEGAN).tm_gmtoff, 5 * 3600)
        self.assertIsNone(log._zone)

    @unittest.skipUnless(importlib.util.find_spec("zoneinfo"), "needs zoneinfo, Python 3.9")
    def test_changed_by_the_app(self):
        log._ZONE = ":Asia/Kolkata"
        self.tz("UTC")
        moment = log.local(BEGAN)
        self.assertEqual((moment.tm_hour, moment.tm_min, moment.tm_gmtoff), (3, 43, 19800))
        self.assertEqual(time.strftime("%Y-%m-%d %H:%M:%S", moment), "2023-11-15 03:43:20")

    @unittest.skipUnless(importlib.util.find_spec("zoneinfo"), "needs zoneinfo, Python 3.9")
    def test_of_the_system(self):
        self.tz("Asia/Kolkata")
        if not os.path.exists("/etc/localtime"):
            self.assertIsInstance(log._first_zone(), log._Fixed)
            return
        self.assertIsInstance(log._first_zone(), log._Zone)
        self.assertIs(log._first_zone(), log._first_zone())

    def test_without_a_file_for_it(self):
        log._ZONE = "Nowhere/Atlantis"
        self.tz("UTC")
        moment = log.local(BEGAN)
        self.assertEqual((moment.tm_hour, moment.tm_gmtoff), (21, -3600))


class Traceback(unittest.TestCase):
    def test_frames_of_the_app_alone(self):
        code = compile("def call(function): function()", "<indrik>/wsgi.py", "exec")
        names = {}
        exec(code, names)

        def fails():
            raise ValueError("of the app")

        try:
            names["call"](fails)
        except ValueError as e:
            error = e
        error.__traceback__ = error.__traceback__.tb_next  # less the frame of this test
        text = log.app_traceback(error)
        self.assertTrue(text.startswith("Traceback (most recent call last):\n"), text)
        self.assertNotIn("<indrik>", text)
        self.assertIn("in fails", text)
        self.assertTrue(text.endswith("ValueError: of the app\n"), text)

    def test_without_a_frame_of_the_app(self):
        code = compile("raise ImportError('nothing of the app ran')", "<indrik>/loader.py", "exec")
        try:
            exec(code)
        except ImportError as e:
            error = e
        error.__traceback__ = error.__traceback__.tb_next
        self.assertEqual(
            log.app_traceback(error),
            "Traceback (most recent call last):\nImportError: nothing of the app ran\n",
        )

    def test_cause(self):
        try:
            try:
                raise KeyError("first")
            except KeyError as e:
                raise ValueError("second") from e
        except ValueError as e:
            text = log.app_traceback(e)
        self.assertLess(text.index("KeyError: 'first'"), text.index("ValueError: second"))


class JSON(unittest.TestCase):
    def setUp(self):
        patched = mock.patch.object(title, "_text", "indrik: worker [shop]")
        patched.start()
        self.addCleanup(patched.stop)

    def line(self, made, ecs=False, formatter=log.JSONFormatter):
        line = formatter(ecs).format(made)
        self.assertNotIn("\n", line)
        return json.loads(line)

    def test_fields(self):
        fields = self.line(record("%s \u20ac\n", "said"))
        stamp = fields.pop("time")
        self.assertRegex(stamp, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:20\.250000[+-]\d\d:\d\d$")
        self.assertEqual(
            fields,
            {"level": "info", "logger": "gunicorn.error", "pid": 7, "process": "worker", "message": "said \u20ac\n"},
        )

    def test_ecs(self):
        fields = self.line(record(level=logging.WARNING), ecs=True)
        self.assertRegex(fields.pop("@timestamp"), r":20\.250000[+-]\d\d:\d\d$")
        self.assertEqual(
            fields,
            {
                "log.level": "warning",
                "log.logger": "gunicorn.error",
                "process.pid": 7,
                "process.name": "worker",
                "message": "said",
                "ecs.version": "8.11.0",
            },
        )

    def test_lines_of_other_processes(self):
        """The logger writes lines of the master and of the front, which their records name."""
        for name in "master", "front":
            made = record()
            made.processName = name
            self.assertEqual(self.line(made)["process"], name)
        made.processName = "MainProcess"
        self.assertEqual(self.line(made)["process"], "worker")

    def test_traceback(self):
        failed = raised(ValueError("broken"))
        for ecs, name in (False, "traceback"), (True, "error.stack_trace"):
            text = self.line(record(exc_info=failed), ecs)[name]
            self.assertTrue(text.startswith("Traceback "), text)
            self.assertTrue(text.endswith("ValueError: broken"), text)
            self.assertNotIn(name, self.line(record(exc_info=(None, None, None)), ecs))

    ATOMS = {
        "h": "192.0.2.1",
        "u": "-",
        "m": "GET",
        "{host}i": "example.com",
        "U": "/a",
        "q": "b=c",
        "H": "HTTP/1.1",
        "s": "404",
        "B": 12,
        "D": 2500,
        "f": "-",
        "a": "curl",
        "request_id": "id-1",
        "queue": "0.001234",
    }

    def test_access(self):
        made = record("%(h)s", self.ATOMS, name="gunicorn.access")
        fields = self.line(made, formatter=log.JSONAccessFormatter)
        for name in "message", "process":
            self.assertNotIn(name, fields)
        self.assertEqual((fields["logger"], fields["pid"]), ("gunicorn.access", 7))
        self.assertEqual((fields["status"], fields["bytes"], fields["duration"]), (404, 12, 0.0025))
        self.assertEqual((fields["user"], fields["referer"], fields["user_agent"]), (None, None, "curl"))
        self.assertEqual((fields["path"], fields["query"], fields["protocol"]), ("/a", "b=c", "HTTP/1.1"))
        self.assertEqual((fields["request_id"], fields["trace_id"]), ("id-1", None))
        self.assertEqual((fields["queue"], fields["app"]), (0.001234, None))

    def test_access_by_ecs(self):
        made = record("%(h)s", self.ATOMS, name="gunicorn.access")
        fields = self.line(made, True, log.JSONAccessFormatter)
        for name in "message", "process.name":
            self.assertNotIn(name, fields)
        self.assertEqual((fields["http.response.status_code"], fields["event.duration"]), (404, 2500000))
        self.assertEqual((fields["http.version"], fields["url.domain"]), ("1.1", "example.com"))
        self.assertIsNone(fields["user.name"])
        self.assertEqual((fields["http.request.id"], fields["indrik.queue"]), ("id-1", 1234000))

    def test_access_without_atoms(self):
        """A handler of one's own may log to the access log, too."""
        fields = self.line(record("plain"), formatter=log.JSONAccessFormatter)
        self.assertEqual((fields["status"], fields["duration"], fields["method"]), (None, 0, None))
        made = record("%(h)s", dict(self.ATOMS, s="nix"))
        self.assertEqual(self.line(made, formatter=log.JSONAccessFormatter)["status"], "nix")


class Streams(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        self.path = os.path.join(self.dir, "log")

    def read(self, path=None):
        with open(path or self.path, "rb") as f:
            return f.read()

    def test_of_a_file(self):
        stream = log.Stream(self.path)
        self.assertEqual(stream.write("a\u20ac\udc80\n"), 4)
        stream.flush()
        self.assertFalse(stream.isatty())
        self.assertFalse(os.get_inheritable(stream.fileno()))
        self.assertEqual(self.read(), b"a\xe2\x82\xac\\udc80\n")
        fd = stream.fileno()
        os.rename(self.path, self.path + ".1")
        stream.reopen()
        stream.write("b")
        self.assertEqual(stream.fileno(), fd)
        self.assertFalse(os.get_inheritable(fd))
        self.assertEqual((self.read(), self.read(self.path + ".1")[:1]), (b"b", b"a"))
        stream.close()
        stream.close()  # a second time is nothing
        self.assertRaises(OSError, os.fstat, fd)

    def test_of_a_descriptor(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        stream = log.Stream(None, write)
        stream.reopen()
        stream.write("x")
        stream.close()
        os.fstat(write)  # it is somebody else's
        os.close(write)
        self.assertEqual(os.read(read, 10), b"x")

    def test_write_that_is_cut(self):
        """A signal may end write(2) early: the rest must not be lost."""
        written = []

        def few(fd, data):
            written.append(bytes(data[:3]))
            return len(written[-1])

        with mock.patch.object(os, "write", few):
            self.assertEqual(log.Stream(None, 5).write("12345678"), 8)
        self.assertEqual(written, [b"123", b"456", b"78"])

    def test_handler_closes_its_stream(self):
        stream = log.Stream(self.path)
        handler = log.StreamHandler(stream)
        handler.setFormatter(log.TraceFormatter("%(asctime)s %(message)s", "%H"))
        handler.handle(record(exc_info=raised(ValueError("broken"))))
        handler.close()
        self.assertEqual(stream.fd, -1)
        self.assertRegex(self.read().decode(), r"(?s)^\d\d said\nTraceback .*\nValueError: broken\n$")


class Uvicorns(unittest.TestCase):
    NAMES = ("uvicorn", "uvicorn.access", "uvicorn.error")

    def setUp(self):
        for name in self.NAMES:
            logger = logging.getLogger(name)
            self.addCleanup(vars(logger).update, handlers=[], propagate=True, level=logging.NOTSET)
        self.error_log = logging.Logger("error", logging.INFO)  # noqa: LOG001 - a logger of this test alone
        self.seen = []
        self.error_log.addHandler(mock.Mock(level=0, handle=self.seen.append))

    def test_lines_go_to_the_error_log(self):
        log.take_uvicorns(self.error_log)
        logging.getLogger("uvicorn.error").info("heard")
        logging.getLogger("uvicorn.error").debug("not heard")
        logging.getLogger("uvicorn.access").info("of the front")
        self.assertEqual([r.getMessage() for r in self.seen], ["heard"])

    def test_level_of_the_error_log_counts(self):
        log.take_uvicorns(self.error_log)
        self.error_log.setLevel(logging.ERROR)
        logging.getLogger("uvicorn").warning("not heard")
        self.assertEqual(self.seen, [])

    def test_again_after_a_reload(self):
        log.take_uvicorns(self.error_log)
        log.take_uvicorns(self.error_log)
        logging.getLogger("uvicorn").info("once")
        self.assertEqual(len(self.seen), 1)
        self.assertEqual(len(logging.getLogger("uvicorn").handlers), 1)

    def test_one_that_the_app_has_set_up(self):
        own = logging.NullHandler()
        logging.getLogger("uvicorn").addHandler(own)
        log.take_uvicorns(self.error_log)
        self.assertEqual(logging.getLogger("uvicorn").handlers, [own])
        logging.getLogger("uvicorn").info("the app's")
        self.assertEqual(self.seen, [])


class Errors(unittest.TestCase):
    def setUp(self):
        patched = mock.patch.object(log, "_ERROR_LOG", logging.Logger("error"))  # noqa: LOG001
        self.logger = patched.start()
        self.addCleanup(patched.stop)

    def test_where_the_error_log_writes(self):
        first, second = io.StringIO(), io.StringIO()
        for stream in first, second:
            self.logger.addHandler(logging.StreamHandler(stream))
        self.logger.addHandler(logging.NullHandler())
        errors = log.Errors()
        errors.write("a")
        errors.writelines(x for x in ("b", "c\n"))
        errors.flush()
        self.assertEqual((first.getvalue(), second.getvalue()), ("abc\n", "abc\n"))

    def test_without_a_stream(self):
        """Syslog alone, for example."""
        self.logger.addHandler(logging.NullHandler())
        with mock.patch("sys.stderr", io.StringIO()) as stderr:
            log.Errors().write("seen")
        self.assertEqual(stderr.getvalue(), "seen")

    def test_bytes(self):
        with self.assertRaisesRegex(TypeError, "^b'x' is not a string$"):
            log.Errors().write(b"x")
