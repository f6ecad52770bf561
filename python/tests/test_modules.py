"""Modules that need no process of their own."""

import functools
import io
import os
import shutil
import signal
import sys
import tempfile
import unittest
from unittest import mock

from indrik import config, hooks, loader, log, threads, wire, worker

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
            self.assertEqual(str(e.exception), error)
        with self.assertRaises(loader.AppImportError) as e:
            self.load(":one()")
        self.assertIn("TypeError: one() missing 1 required positional argument", str(e.exception))
        with self.assertRaisesRegex(TypeError, "^inside$"):
            self.load(":inside()")
        with self.assertRaises(ModuleNotFoundError):
            loader.load("loader_nix")


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
        file = config.File()
        file.values = {"logger_class": int, "workers": 1}
        cfg = config.Config({"logger_class": {"python": "int"}, "workers": 2, "raw_env": ["A=b=c"]}, file, "m:a", "sync")
        self.assertIs(cfg.logger_class, int)
        self.assertEqual((cfg.workers, cfg.env, cfg.app), (2, {"A": "b=c"}, "m:a"))
        self.assertIs(cfg.on_exit(None), None)
        self.assertRaises(AttributeError, lambda: cfg.nix)

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
        self.assertEqual({name: lines.get(name) for name in "abdefghijklmn"}, {
            "a": 1, "b": None, "d": 2, "e": 3, "f": 4, "g": 6, "h": 8, "i": 10, "j": 12, "k": 14,
            "l": 15, "m": None, "n": 17,
        })
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
            wire.close_all(fds + [reader, writer])
            control.send("y", call=1)
            self.assertEqual(support.receive(ours)[0], b'{"call": 1, "type": "y"}')
        self.assertIsNone(control.receive())
        control.send("z")  # to nobody
        control.sock.close()

    def test_clip(self):
        self.assertEqual(wire.clip("short"), "short")
        self.assertLess(len(wire.clip("x" * 10**6)), wire.MAX_TEXT + 100)


class Log(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        self.path = os.path.join(self.dir, "log")

    def setting(self, **settings):
        return config.Config(dict({"errorlog": self.path, "loglevel": "info"}, **settings), config.File(), None, "sync")

    def read(self, path=None):
        with open(path or self.path) as f:
            return f.read()

    def test_levels_files_and_reopening(self):
        logger = log.Log()
        self.addCleanup(lambda: logger.error_log.removeHandler(logger._handler))
        logger.setup(self.setting())
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
        with mock.patch.object(log, "_open", side_effect=PermissionError(13, "Permission denied")):
            logger.reopen_files()
        self.assertIn("cannot open the error log again: [Errno 13] Permission denied", self.read())
        logger.setup(self.setting(errorlog=self.path + ".2", loglevel="ERROR"))
        logger.warning("not this")
        logger.error("this")
        self.assertNotIn("not", self.read(self.path + ".2"))
        with self.assertRaises(OSError):
            logger.setup(self.setting(errorlog=self.dir + "/nix/log"))
        logger.error("still here")
        self.assertIn("still here", self.read(self.path + ".2"))
        errors = log.Errors(logger)
        errors.writelines(["x", "y\n"])
        self.assertTrue(self.read(self.path + ".2").endswith("xy\n"))
        self.assertRaises(TypeError, errors.write, b"bytes")
        logger.stream.close()

    def test_flush(self):
        with mock.patch("sys.stdout", io.StringIO()) as closed:
            closed.close()
            log.flush()


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
        self.assertEqual(self.told("3.13.0 experimental free-threading build (main) [GCC]", False),
                         [("info", "The GIL is off: the threads of this worker run in parallel")])
        (level, text), = self.told("3.14.0 free-threading build (main) [GCC]", True)
        self.assertEqual(level, "warning")
        self.assertIn("The GIL is on", text)
