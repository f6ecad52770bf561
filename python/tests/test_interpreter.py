"""The interpreter as messages call it, its title, and what is patched in it for gevent."""

import importlib.util
import io
import os
import shutil
import sys
import tempfile
import types
import unittest
from unittest import mock

from indrik import interpreter, monkey, paste, spew, title
from indrik.loader import AppImportError


class Names(unittest.TestCase):
    def test_versions(self):
        for version, implementation, want in [
            ("3.13.1 (main) [GCC]", "cpython", "3.13.1"),
            ("3.13.1 experimental free-threading build (main) [GCC]", "cpython", "3.13.1 (free-threaded)"),
            ("3.10.14 (75b3de9d9035, Apr 21 2024) [PyPy 7.3.16]", "pypy", "3.10.14 (PyPy)"),
        ]:
            faked = mock.Mock(version=version, executable="/bin/python")
            faked.implementation.name = implementation
            with mock.patch.object(interpreter, "sys", faked):
                self.assertEqual(interpreter.version(), want)
                self.assertEqual(interpreter.name(), "Python %s (/bin/python)" % want)

    def test_without_a_path(self):
        with mock.patch.object(sys, "executable", ""):
            self.assertTrue(interpreter.name().endswith(" (unknown path)"))


class Patching(unittest.TestCase):
    def patched(self, gevent):
        """Has gevent be a module, or be missing, and patches; returns gevent.monkey."""
        modules = {"gevent": gevent}
        if gevent is not None:
            modules["gevent.monkey"] = gevent.monkey
        with mock.patch.dict(sys.modules, modules):
            monkey.patch("gevent")

    def gevent(self, version, patched=False):
        module = types.ModuleType("gevent")
        module.__version__ = version
        module.monkey = mock.Mock()
        module.monkey.is_module_patched.return_value = patched
        return module

    def test_once(self):
        for version in "24.10.1", "25.4.1.dev0", "26.1":
            gevent = self.gevent(version)
            self.patched(gevent)
            gevent.monkey.patch_all.assert_called_once_with()
        gevent = self.gevent("25.4.1", patched=True)
        self.patched(gevent)
        gevent.monkey.patch_all.assert_not_called()

    def test_too_old(self):
        for version in "24.2.1", "1.5", "24.10":
            with self.assertRaises(monkey.PatchError) as caught:
                self.patched(self.gevent(version))
            self.assertIn(
                "\nError: class uri 'gevent' invalid or not found: gevent worker requires gevent 24.10.1 or higher, "
                "and %s is installed for Python" % version,
                str(caught.exception),
            )

    def test_not_installed(self):
        finder = mock.Mock()
        finder.find_spec.side_effect = ModuleNotFoundError("No module named 'gevent'", name="gevent")
        with mock.patch.dict(sys.modules), mock.patch.object(sys, "meta_path", [finder]):
            sys.modules.pop("gevent", None)
            with self.assertRaisesRegex(monkey.PatchError, "gevent is not installed for Python .*: pip install gevent"):
                monkey.patch("gevent")

    def test_broken(self):
        """What gevent itself needs is missing: the operator sees where."""
        finder = mock.Mock()
        finder.find_spec.side_effect = ModuleNotFoundError("No module named 'greenlet'", name="greenlet")
        with mock.patch.dict(sys.modules), mock.patch.object(sys, "meta_path", [finder]):
            sys.modules.pop("gevent", None)
            with self.assertRaises(monkey.PatchError) as caught:
                monkey.patch("gevent")
        self.assertIn("invalid or not found: \n\n[Traceback (most recent call last)", str(caught.exception))
        self.assertIn("No module named 'greenlet']", str(caught.exception))

    def test_sigchld(self):
        hub = mock.Mock()
        local = types.ModuleType("gevent._hub_local")
        local.get_hub_if_exists = lambda: hub
        modules = {"gevent": types.ModuleType("gevent"), "gevent._hub_local": local, "gevent.hub": mock.Mock()}
        with mock.patch.dict(sys.modules, modules):
            monkey.sigchld_was_taken()
            hub.loop.reset_sigchld.assert_called_once_with()
            local.get_hub_if_exists = lambda: None
            monkey.sigchld_was_taken()  # nobody has a loop
            del sys.modules["gevent.hub"]
            local.get_hub_if_exists = lambda: hub
            monkey.sigchld_was_taken()
        hub.loop.reset_sigchld.assert_called_once_with()

    def test_after_a_fork(self):
        gevent = mock.Mock()
        with mock.patch.dict(sys.modules, gevent=gevent):
            monkey.after_fork()
        gevent.reinit.assert_called_once_with()


@unittest.skipUnless(sys.platform == "linux", "ps(1) shows titles on Linux alone")
class Titles(unittest.TestCase):
    def in_child(self, function):
        """Returns what a child says: this process keeps its title."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(write, function().encode())
                os._exit(0)
            finally:
                os._exit(1)
        os.close(write)
        with open(read) as f:
            text = f.read()
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        return text

    def shown(self):
        with open("/proc/self/cmdline", "rb") as f, open("/proc/self/comm") as comm:
            return "%s|%s" % (f.read().rstrip(b"\0").decode(), comm.read())

    def test_title(self):
        def child():
            title.prepare()
            title.prepare()  # as the process that forked this one had done
            title.set("indrik: worker")
            return self.shown() + title.get()

        self.assertEqual(self.in_child(child), "indrik: worker|indrik: worker\nindrik: worker")

    def test_longer_than_the_arguments(self):
        def child():
            title.prepare()
            title.set("x" * 100000)
            return self.shown()

        arguments, _, name = self.in_child(child).partition("|")
        self.assertEqual((set(arguments), name), ({"x"}, "x" * 15 + "\n"))

    def test_where_it_cannot_be_set(self):
        with mock.patch.multiple(title, _area=None, _text=""):
            with mock.patch("builtins.open", side_effect=PermissionError):
                title.prepare()
            title.set("indrik: worker")
            self.assertEqual(title.get(), "indrik: worker")
        before = self.shown()
        with mock.patch.multiple(title, _area=None, _text=""), mock.patch(
            "builtins.open", mock.mock_open(read_data=b"")
        ):
            title.prepare()  # not in the form of proc(5)
            self.assertIsNone(title._area)
        self.assertEqual(self.shown(), before)


class Spew(unittest.TestCase):
    def test_lines(self):
        def traced(a):
            b = a + 1
            return b

        before = sys.gettrace()
        self.addCleanup(sys.settrace, before)
        with mock.patch("sys.stdout", io.StringIO()) as out, mock.patch.object(spew.threading, "settrace") as threads:
            spew.install()
            self.assertEqual(traced(1), 2)
            sys.settrace(before)
        threads.assert_called_once_with(spew._trace)
        lines = [line for line in out.getvalue().split("\n") if "b" in line]
        self.assertRegex(lines[0], r"^%s:\d+: +b = a \+ 1$" % __name__)

    def test_server_itself(self):
        def frame(filename, name="app"):
            return mock.Mock(f_globals={"__name__": name}, f_lineno=1, **{"f_code.co_filename": filename})

        self.assertIsNone(spew._trace(frame("<indrik>/wsgi.py"), "line", None))
        self.assertIsNone(spew._trace(frame("/lib/linecache.py", "linecache"), "line", None))
        with mock.patch("sys.stdout", io.StringIO()) as out:
            for event in "call", "return", "exception":
                self.assertIs(spew._trace(frame("/srv/app.py"), event, None), spew._trace)
        self.assertEqual(out.getvalue(), "")


class Paste(unittest.TestCase):
    def file(self, text):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "app.ini")
        with open(path, "w", encoding="latin-1") as f:
            f.write(text)
        return path

    def test_pairs(self):
        self.assertEqual(
            paste._pairs(["a=b", "c=d=e", "f\\=g=h", "i=j\\=k", "l="]),
            {"a": "b", "c": "d=e", "f=g": "h", "i": "j=k", "l": ""},
        )
        self.assertRaises(ValueError, paste._pairs, ["none"])

    def test_logging(self):
        self.assertTrue(paste.configures_logging(self.file("[app:main]\nuse = x\n[loggers]\nkeys = root\n")))
        self.assertTrue(paste.configures_logging(self.file("[loggers]\n[loggers]\n")))
        for text in "[app:main]\nuse = x\n", "no section\n", "[app:\xe4]\n", "":
            self.assertFalse(paste.configures_logging(self.file(text)), text)
        self.assertFalse(paste.configures_logging("/nix.ini"))

    def test_app(self):
        deploy = types.ModuleType("paste.deploy")
        deploy.loadapp = mock.Mock(return_value="the app")
        with mock.patch.dict(sys.modules, {"paste": types.ModuleType("paste"), "paste.deploy": deploy}):
            self.assertEqual(paste.load("/srv/app.ini#shop", ["a=b"]), "the app")
        deploy.loadapp.assert_called_once_with("config:/srv/app.ini#shop", global_conf={"a": "b"})

    @unittest.skipIf(importlib.util.find_spec("paste"), "PasteDeploy is here")
    def test_not_installed(self):
        with self.assertRaisesRegex(
            AppImportError, "^--paste needs the package PasteDeploy .*: pip install PasteDeploy"
        ):
            paste.load("/srv/app.ini", [])
