"""What a generation is to its spawner: the app, and the process's environment."""

import os
import shutil
import sys
import tempfile
import unittest
from unittest import mock

from indrik.generation import Environment, LazyApp


def wsgi(environ, start_response):
    return [b"of the app"]


class Apps(unittest.TestCase):
    def setUp(self):
        self.log = mock.Mock()

    def app(self, load, stand_in=False):
        return LazyApp("web:app", self.log, stand_in, load)

    def test_is_loaded_once(self):
        load = mock.Mock(return_value=wsgi)
        app = self.app(load)
        load.assert_not_called()
        self.assertIs(app.wsgi(), wsgi)
        self.assertIs(app.wsgi(), wsgi)
        load.assert_called_once_with("web:app")
        self.assertEqual((app.app_uri, app.callable, app.error), ("web:app", wsgi, None))

    def test_factory(self):
        self.assertIs(self.app(lambda spec: lambda: wsgi).wsgi(), wsgi)

    def test_error(self):
        for error in SyntaxError("bad"), ImportError("none"):
            app = self.app(mock.Mock(side_effect=error))
            for _ in range(2):
                with self.assertRaises(type(error)):
                    app.wsgi()
            self.assertIsNone(app.callable)

    def test_stand_in(self):
        """With reload an app that does not compile is shown in the browser, with the reason."""
        error = SyntaxError("bad \udc80 line", ("web.py", 3, 1, "x = (\n"))
        app = self.app(mock.Mock(side_effect=error), stand_in=True)
        start = mock.Mock()
        (body,) = app.wsgi()({}, start)
        self.assertIs(app.error, error)
        self.assertIn(b'File "web.py", line 3', body)
        self.assertIn(b"bad \\udc80 line", body)
        start.assert_called_once_with(
            "500 Internal Server Error",
            [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
        )
        self.log.exception.assert_called_once_with("%s", error)

    def test_what_has_no_stand_in(self):
        app = self.app(mock.Mock(side_effect=ImportError("none")), stand_in=True)
        self.assertRaises(ImportError, app.wsgi)


class Environments(unittest.TestCase):
    """The directory, the path of modules and the variables of a generation, and of the next."""

    def setUp(self):
        self.dir = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)
        for name in "a", "b":
            os.mkdir(os.path.join(self.dir, name))
        self.addCleanup(os.chdir, os.getcwd())
        self.addCleanup(sys.path.__setitem__, slice(None), list(sys.path))
        patched = mock.patch.dict(os.environ, {"KEPT": "1"})
        patched.start()
        self.addCleanup(patched.stop)
        os.environ.pop("NEW", None)
        self.environment = Environment()

    def path(self, name):
        return os.path.join(self.dir, name)

    def enter(self, directory, pythonpath=None, **env):
        settings = {"chdir": self.path(directory), "pythonpath": pythonpath}
        self.environment.enter(mock.Mock(get=settings.get, env=env))

    def test_enter(self):
        before = list(sys.path)
        self.enter("a", "%s,,relative" % self.path("b"), KEPT="2", NEW="3")
        self.assertEqual(os.getcwd(), self.path("a"))
        self.assertEqual(sys.path[:3], [self.path("a/relative"), self.path("b"), self.path("a")])
        self.assertEqual(sys.path[3:], before)
        self.assertEqual((os.environ["KEPT"], os.environ["NEW"]), ("2", "3"))

    def test_next_generation(self):
        before = list(sys.path)
        self.enter("a", self.path("b"), KEPT="2", NEW="3")
        self.enter("b", OTHER="4")
        self.assertEqual(os.getcwd(), self.path("b"))
        self.assertEqual(sys.path, [self.path("b"), *before])
        self.assertEqual((os.environ["KEPT"], os.environ.get("NEW"), os.environ["OTHER"]), ("1", None, "4"))

    def test_generation_that_failed(self):
        self.enter("a", KEPT="2", NEW="3")
        self.environment.restore()
        self.assertEqual((os.environ["KEPT"], os.environ.get("NEW")), ("1", None))

    def test_directory_that_was_in_the_path(self):
        """It is not the generation's to take out."""
        sys.path.insert(0, self.path("a"))
        before = list(sys.path)
        self.enter("a")
        self.assertEqual(sys.path, before)
        self.enter("b")
        self.assertEqual(sys.path, [self.path("b"), *before])

    def test_path_that_the_app_has_changed(self):
        self.enter("a")
        sys.path.remove(self.path("a"))
        self.enter("b")
        self.assertNotIn(self.path("a"), sys.path)
