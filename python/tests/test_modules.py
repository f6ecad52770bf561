"""Modules that need no process of their own."""

import datetime
import functools
import io
import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import types
import unittest
from unittest import mock

from indrik import carrying, config, glogging, hooks, loader, log, logsetup, suggest, threads, view, wire, worker

from . import support


class Loader(unittest.TestCase):
    def setUp(self):
        module = type(sys)("loader_fixture")
        exec(
            "def application(environ, start_response): pass\n"
            "def factory(*args, **kwargs): return lambda e, s: (args, kwargs)\n"
            "def one(a): return application\n"
            "def inside(): raise TypeError('inside')\n"
            "def nothing(): pass\n"
            "class holder: app = staticmethod(application)\n"
            "none = None\nnumber = 5\n",
            vars(module),
        )
        sys.modules["loader_fixture"] = module
        self.addCleanup(sys.modules.pop, "loader_fixture")
        self.module = module

    def load(self, expression):
        return loader.load("loader_fixture" + expression)

    def test_forms(self):
        self.assertIs(self.load(""), self.module.application)
        self.assertIs(self.load(":application"), self.module.application)
        self.assertIs(self.load(":holder.app"), self.module.application)
        self.assertIs(self.load(":one('x')"), self.module.application)
        self.assertEqual(
            self.load(":factory(1, 'a:b', [2], x={'y': None})")(None, None),
            ((1, "a:b", [2]), {"x": {"y": None}}),
        )

    def test_errors(self):
        for expression, error in [
            (":nix", "Failed to find attribute 'nix' in 'loader_fixture'."),
            (":holder.nix", "Failed to find attribute 'holder.nix' in 'loader_fixture'."),
            (":none", "Failed to find application object: 'none'"),
            (":nothing()", "Failed to find application object: 'nothing()'"),
            (":number", "Application object must be callable."),
            (":x(", "Failed to parse 'x(' as an attribute name or function call."),
            (":", "Failed to parse '' as an attribute name or function call."),
            (":1", "Failed to parse '1' as an attribute name or function call."),
            (":a.b()", "Function reference must be a simple name: 'a.b()'"),
            (":one(x)", "Failed to parse arguments as literal values: 'one(x)'"),
            (":one(**{})", "Failed to parse arguments as literal values: 'one(**{})'"),
        ]:
            with self.subTest(expression), self.assertRaises(loader.AppImportError) as e:
                self.load(expression)
            self.assertEqual(str(e.exception).partition("\n")[0], error)
        with self.assertRaises(loader.AppImportError) as e:
            self.load(":one()")
        self.assertIn("TypeError: one() missing 1 required positional argument", str(e.exception))
        with self.assertRaisesRegex(TypeError, "^inside$"):
            self.load(":inside()")
        with self.assertRaises(ModuleNotFoundError):
            loader.load("loader_nix")


class Suggest(unittest.TestCase):
    def test_in_file(self):
        for text, want in [
            ("app = FastAPI()", [("app", "FastAPI")]),
            ("web = flask.Flask(__name__)\nx = 1", [("web", "Flask")]),
            ("application: Callable = get_wsgi_application()", [("application", "get_wsgi_application")]),
            ("other = Flask()\napp = 1", [("app", ""), ("other", "Flask")]),
            ("def create_app(x=1):\n    pass", [("create_app()", "a factory")]),
            ("def create_app(x):\n    pass", []),
            ("def web(environ, start_response):\n    pass", [("web", "WSGI")]),
            ("async def web(scope, receive, send):\n    pass", [("web", "ASGI")]),
            ("from shop import app", [("app", "")]),
            ("from shop import x as application", [("application", "")]),
            ("def broken(:", []),
            ("", []),
            ("x = [1]\ny = f()()", []),
        ]:
            with self.subTest(text), tempfile.NamedTemporaryFile("w", suffix=".py") as f:
                f.write(text)
                f.flush()
                self.assertEqual(suggest.in_file(f.name), want)
        self.assertEqual(suggest.in_file("/nonexistent.py"), [])

    def test_in_module(self):
        module = types.ModuleType("fixture")
        exec(
            "class Flask:\n    def __call__(self):\n        pass\nweb = Flask()\n_hidden = Flask()\n"
            "def create_app():\n    pass\ndef help(environ):\n    pass\n",
            vars(module),
        )
        self.assertEqual(suggest.in_module(module), [("web", "Flask"), ("create_app()", "a factory")])
        self.assertEqual(suggest.for_attribute(module, "app"), "fixture has 'web' (Flask): indrik fixture:web")
        del module.web, module._hidden
        self.assertEqual(
            suggest.for_attribute(module, "app"),
            "fixture has 'create_app()' (a factory): indrik 'fixture:create_app()'",
        )
        del module.create_app
        self.assertIn("which has nothing that looks like an app", suggest.for_attribute(module, "app"))
        self.assertIn("a part of Python itself", suggest.for_attribute(json, "app"))

    def test_other_errors(self):
        self.assertEqual(suggest.for_import(ImportError("cannot import name 'x'"), "main", "app"), "")
        self.assertEqual(
            suggest.for_import(ModuleNotFoundError("no gunicorn", name="gunicorn.glogging"), "main", "app"), ""
        )
        self.assertIn(
            "'json' is there, 'json.nix' is not",
            suggest.for_import(ModuleNotFoundError("x", name="json.nix"), "json.nix", "app"),
        )


class Hooks(unittest.TestCase):
    def test_positional(self):
        class Class:
            def method(self, a, b):
                pass

            def __call__(self, a):
                pass

        def plain(a, b=1, *args, c, **kwargs):
            pass

        self.assertEqual(hooks.positional(plain), 2)
        self.assertEqual(hooks.positional(Class().method), 2)
        self.assertEqual(hooks.positional(Class()), 1)
        self.assertEqual(hooks.positional(functools.partial(plain, 1)), 1)
        self.assertEqual(hooks.positional(lambda *args: 0), 0)

    def test_post_request(self):
        for count in (2, 3, 4):
            names = ", ".join("abcd"[:count])
            function = eval("lambda %s: (%s)" % (names, names))
            self.assertEqual(hooks.check("post_request", function)(1, 2, 3, 4), (1, 2, 3, 4)[:count])

    def test_import_string(self):
        self.assertIs(hooks.check("on_exit", "os.path.basename"), os.path.basename)


class Config(unittest.TestCase):
    def test_values_without_json(self):
        file = config.ConfigFile()
        file.values = {"logger_class": int, "workers": 1}
        cfg = config.Config(
            {"logger_class": {"python": "int"}, "workers": 2, "raw_env": ["A=b=c"]}, file, "m:a", "sync"
        )
        self.assertIs(cfg.logger_class, int)
        self.assertEqual((cfg.workers, cfg.env, cfg.app), (2, {"A": "b=c"}, "m:a"))
        self.assertIs(cfg.on_exit(None), None)
        self.assertRaises(AttributeError, lambda: cfg.nix)

    def test_set(self):
        settings = {"workers": 2, "bind": ["h:1", "unix:/s"], "user": 5, "worker_class": "sync", "threads": 3}
        cfg = config.Config(settings, config.ConfigFile(), None, "gthread")
        self.assertEqual(
            (cfg.address, cfg.uid, cfg.worker_class_str, cfg.is_ssl), ([("h", 1), "/s"], 5, "gthread", False)
        )
        cfg.set("user", 6)
        self.assertEqual((cfg.user, cfg.uid, cfg.settings["user"].get()), (6, 6, 6))
        with self.assertLogs("gunicorn.error") as logs:
            cfg.set("workers", 3)
        self.assertIn("cfg.set('workers') changes what hooks and the app see", logs.output[0])
        cfg.set("worker_exit", lambda server, worker: 7)
        self.assertEqual(cfg.worker_exit(None, None), 7)
        self.assertRaisesRegex(TypeError, "arity of: 2", cfg.set, "worker_exit", len)
        self.assertRaisesRegex(AttributeError, "^No configuration setting for: nix$", cfg.set, "nix", 1)
        with self.assertRaisesRegex(AttributeError, "^Invalid access!$"):
            cfg.workers = 3

    def test_bindings(self):
        source = b"""\
a, (b, c) = 1, (2, 3)
d: int = 1
for e in []:
    f = 1
else:
    g = 1
try:
    h = 1
except OSError:
    i = 1
finally:
    j = 1
with open("x"):
    k = 1
def l(): m = 1
if 1: pass
elif 2: n = 1
"""
        lines = config._lines(source, "x")
        self.assertEqual(
            {name: lines.get(name) for name in "abdefghijklmn"},
            {
                "a": 1,
                "b": None,
                "d": 2,
                "e": 3,
                "f": 4,
                "g": 6,
                "h": 8,
                "i": 10,
                "j": 12,
                "k": 14,
                "l": 15,
                "m": None,
                "n": 17,
            },
        )
        self.assertEqual(config._lines(b"(", "x"), {})


class Wire(unittest.TestCase):
    def test_message_with_descriptors(self):
        ours, theirs = support.pair()
        control = wire.Control(theirs.detach())
        with ours:
            with self.assertRaises(BlockingIOError):
                control.receive()
            reader, writer = os.pipe()
            support.send(ours, b'{"type": "x"}', [reader] * 200)
            message, fds = control.receive()
            self.assertEqual((message, len(fds)), ({"type": "x"}, 200))
            self.assertFalse(any(os.get_inheritable(fd) for fd in fds))
            wire.close_all([*fds, reader, writer])
            control.send("y", call=1)
            self.assertEqual(support.receive(ours)[0], b'{"call": 1, "type": "y"}')
        self.assertIsNone(control.receive())
        control.send("z")  # to nobody
        control.sock.close()

    def test_clip(self):
        self.assertEqual(wire.clip("short"), "short")
        for character in "x", '"', "\0", "\u0436", "\U0001f600", "\udc80":
            text = "first" + character * 10**6 + "last"
            clipped = wire.clip(text)
            self.assertTrue(clipped.startswith("first") and clipped.endswith("last"))
            self.assertTrue(wire.MAX_TEXT // 2 < wire.json_size(clipped) <= wire.MAX_TEXT)


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
            self.assertIn("\nHint: the package gunicorn is not installed", text("import gunicorn"))
            self.assertIn("write `from indrik.glogging import Logger`", text("from gunicorn.glogging import Logger"))
        self.assertNotIn("Hint", text("import nix_gunicorn"))


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

    def test_absent(self):
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


class Refuses:
    def __reduce__(self):
        raise ValueError("not me")


class Vanishes:
    """Can be packed, and not unpacked."""

    def __reduce__(self):
        return int, ("x",)


class Carrying(unittest.TestCase):
    def carried(self, **attributes):
        first, second = view.Server(), view.Server()
        vars(first).update(attributes)
        packed, lost = carrying.pack(first)
        json.dumps(packed)
        late = carrying.unpack(second, packed)
        self.assertFalse(set(lost) & set(late))
        return {n: v for n, v in vars(second).items() if n not in second._own}, {**lost, **late}

    def test_values(self):
        kept = {
            "started": 1.5,
            "ids": {1, 2},
            "name": "\udc80",
            "none": None,
            "_private": [b"x"],
            "nested": {"a": (1,)},
        }
        self.assertEqual(self.carried(**kept), (kept, {}))
        self.assertEqual(self.carried(), ({}, {}))

    def test_what_cannot_be_carried(self):
        kept, lost = self.carried(
            lock=threading.Lock(),
            local=lambda: None,
            refuses=Refuses(),
            vanishes=Vanishes(),
            large="x" * carrying.MAX_SIZE,
            small=1,
        )
        self.assertEqual(kept, {"small": 1})
        self.assertEqual(sorted(lost), ["large", "local", "lock", "refuses", "vanishes"])
        self.assertEqual(lost["refuses"], "not me")
        self.assertIn("there is room for", lost["large"])

    def test_what_is_the_masters_is_not_carried(self):
        server = view.Server()
        server.update({"pid": 1, "num_workers": 3, "proc_name": "x", "address": ["unix:/x"]})
        server.WORKERS[1] = server.cfg = server.log = object()
        self.assertEqual(carrying.pack(server), ({}, {}))


class Limits(unittest.TestCase):
    def test_jitter_is_per_worker(self):
        self.assertEqual(worker._limit(0, 5), sys.maxsize)
        self.assertEqual(worker._limit(10, 0), 10)
        drawn = {worker._limit(10, 3) for _ in range(1000)}
        self.assertEqual(drawn, {10, 11, 12, 13})

    def test_nudge_is_harmless(self):
        self.assertEqual(threads.NUDGE, signal.SIGURG)  # ignored unless handled


class GIL(unittest.TestCase):
    def told(self, version, enabled):
        said = mock.Mock()
        with mock.patch.object(threads, "sys", mock.Mock(version=version, _is_gil_enabled=lambda: enabled)):
            threads.tell_of_gil(said)
        return [(name, args[0]) for name, args, _ in said.mock_calls]

    def test_what_the_log_says(self):
        self.assertEqual(self.told("3.13.0 (main) [GCC]", True), [])
        self.assertEqual(
            self.told("3.13.0 experimental free-threading build (main) [GCC]", False),
            [("info", "The GIL is off: the threads of this worker run in parallel")],
        )
        ((level, text),) = self.told("3.14.0 free-threading build (main) [GCC]", True)
        self.assertEqual(level, "warning")
        self.assertIn("The GIL is on", text)
