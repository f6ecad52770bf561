"""indrik.run(), python -m indrik, and what apps import."""

import os
import sys
import tempfile
import time
import types
import unittest
from unittest import mock

import indrik
from indrik import launch


class Launched(Exception):
    pass


class Run(unittest.TestCase):
    """What run() makes of its arguments."""

    def setUp(self):
        self.directory = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(os.rmdir, self.directory)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.directory)
        # In a test the modules of the spawner may have been imported.
        modules = {name: m for name, m in sys.modules.items() if name != "indrik.spawner"}
        self.patch(mock.patch.dict(sys.modules, modules, clear=True))
        self.patch(mock.patch.object(launch, "find_binary", lambda: "/bin/indrik"))
        self.main = types.ModuleType("__main__")
        self.main.__file__ = os.path.join(self.directory, "web.py")
        self.main.__spec__ = None
        sys.modules["__main__"] = self.main

    def patch(self, patcher):
        patcher.start()
        self.addCleanup(patcher.stop)

    def run_(self, *args, **kwargs):
        """Returns the arguments and the variables that the server gets."""
        with mock.patch.object(os, "execve", side_effect=Launched) as execve, self.assertRaises(Launched):
            indrik.run(*args, **kwargs)
        (path, arguments, environment), _ = execve.call_args
        self.assertEqual(path, "/bin/indrik")
        self.assertEqual(arguments[0], "/bin/indrik")  # by which an upgrade finds it
        self.assertEqual(environment.pop("INDRIK_PYTHON"), sys.executable)
        ours = {k: v for k, v in environment.items() if k not in os.environ}
        return arguments[1:], ours

    def test_settings(self):
        arguments, variables = self.run_(
            "web:app",
            workers=4,
            worker_class="gthread",
            reload=True,
            sendfile=False,
            pidfile=None,
            bind=["127.0.0.1:80", "unix:/run/x"],
            raw_env=["A=1,2", "B=3"],
            secure_scheme_headers={"X-FORWARDED-PROTO": "https"},
            log_level="debug",
        )
        self.assertEqual(arguments, ["web:app"])
        self.assertEqual(
            variables,
            {
                "INDRIK_WORKERS": "4",
                "INDRIK_WORKER_CLASS": "gthread",
                "INDRIK_RELOAD": "true",
                "INDRIK_SENDFILE": "false",
                "INDRIK_BIND": "127.0.0.1:80,unix:/run/x",
                "INDRIK_RAW_ENV": '["A=1,2", "B=3"]',
                "INDRIK_SECURE_SCHEME_HEADERS": '{"X-FORWARDED-PROTO": "https"}',
                "INDRIK_LOGLEVEL": "debug",
            },
        )

    def test_addresses(self):
        for kwargs, bind in [
            ({"port": 5000}, "127.0.0.1:5000"),
            ({"host": "0.0.0.0"}, "0.0.0.0:8000"),
            ({"host": "::1", "port": 0}, "[::1]:0"),
            ({"uds": "/run/web.sock"}, "unix:/run/web.sock"),
        ]:
            self.assertEqual(self.run_("web:app", **kwargs)[1], {"INDRIK_BIND": bind})

    def test_objects(self):
        self.main.app = self.main.other = app = object()
        self.assertEqual(self.run_(app), (["web:app"], {}))
        self.main.make = make = lambda: None
        self.assertEqual(self.run_(make, factory=True), (["web:make()"], {}))

    def test_other_directory(self):
        self.main.__file__ = "/srv/site/web.py"
        self.assertEqual(self.run_("web:app"), (["web:app"], {"INDRIK_PYTHONPATH": "/srv/site"}))
        self.assertEqual(self.run_("web:app", app_dir="/lib")[1], {"INDRIK_PYTHONPATH": "/lib,/srv/site"})

    def test_modules(self):
        # python -m package.web, and python -m package
        self.main.app = app = object()
        for spec, name in [("package.web", "package.web:app"), ("package.__main__", "package.__main__:app")]:
            self.main.__spec__ = types.SimpleNamespace(name=spec)
            self.assertEqual(self.run_(app), ([name], {}))

    def test_errors(self):
        self.main.app = object()
        for args, kwargs, error, text in [
            (["web:app"], {"wrokers": 2}, TypeError, "wrokers, which is no setting: did you mean workers?"),
            (["web:app"], {"post_fork": print}, TypeError, "hooks belong into a config file"),
            (["web:app"], {"timeout": object()}, TypeError, "cannot pass on timeout"),
            (["web:app"], {"bind": "x", "port": 1}, TypeError, "other words for it"),
            (["web:app"], {"uds": "x", "port": 1}, TypeError, "one or the other"),
            ([object()], {}, TypeError, "is neither"),
        ]:
            with self.assertRaisesRegex(error, text):
                indrik.run(*args, **kwargs)
        self.main.__file__ = "/srv/my-app.py"
        with self.assertRaisesRegex(TypeError, 'give the app to indrik.run\\(\\) as "module:name"'):
            indrik.run(self.main.app)
        del self.main.__file__
        with self.assertRaisesRegex(TypeError, "a session without a file"):
            indrik.run(self.main.app)

    def test_in_a_server(self):
        sys.modules["indrik.spawner"] = types.ModuleType("indrik.spawner")
        with self.assertRaisesRegex(indrik.LaunchError, '__name__ == "__main__"'):
            indrik.run("web:app")

    def test_no_binary(self):
        real = mock.patch.object(launch, "find_binary", find_binary)
        missing = self.assertRaisesRegex(indrik.LaunchError, "pip install")
        with mock.patch.object(os, "access", return_value=False), real, missing:
            indrik.run("web:app")


find_binary = launch.find_binary


class Functions(unittest.TestCase):
    """Those that speak of a request."""

    def test_of_a_request(self):
        now = time.monotonic()
        environ = {
            "indrik.disconnected": lambda: True,
            "indrik.deadline": lambda: now,
            "indrik.extend_deadline": lambda seconds: now + seconds,
        }
        self.assertIs(indrik.disconnected(environ), True)
        self.assertEqual(indrik.deadline(environ), now)
        self.assertEqual(indrik.extend_deadline(environ, 5), now + 5)

    def test_of_another_server(self):
        for function, args in [(indrik.disconnected, ()), (indrik.deadline, ()), (indrik.extend_deadline, (1,))]:
            with self.assertRaisesRegex(RuntimeError, "a request that Indrik serves"):
                function({"REQUEST_METHOD": "GET"}, *args)


class Version(unittest.TestCase):
    def test_of_the_server(self):
        with mock.patch.dict(os.environ, SERVER_SOFTWARE="indrik/1.2.3rc1"):
            self.assertEqual(indrik.__version__, "1.2.3rc1")
            self.assertEqual(indrik.version_info, (1, 2, "3rc1"))

    def test_of_another(self):
        # As some environments set it (RFC 3875), for whatever serves.
        with mock.patch.dict(os.environ, SERVER_SOFTWARE="Apache/2.4"):
            self.assertNotEqual(indrik.__version__, "2.4")
