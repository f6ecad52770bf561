"""Hints for an app that is not found."""

import json
import os
import shutil
import sys
import tempfile
import types
import unittest
from unittest import mock

from indrik import suggest


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


class Directory(unittest.TestCase):
    """Hints that depend on what is in the current directory."""

    def setUp(self):
        self.dir = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.dir)

    def write(self, name, text="app = Flask()\n"):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def for_import(self, missing, module=None, text="No module named x"):
        return suggest.for_import(ModuleNotFoundError(text, name=missing), module or missing, "app")


class Paths(Directory):
    def test_file(self):
        self.write("web.py")
        self.write("shop/main.py", "def create_app(): pass\n")
        self.assertEqual(suggest.for_path("web.py", "application", ""), ("web", "app"))
        self.assertEqual(suggest.for_path("./web.py", "application", ""), ("web", "app"))
        self.assertEqual(suggest.for_path("shop/main.py", "application", ""), ("shop.main", "create_app()"))
        self.assertEqual(suggest.for_path("shop/main", "application", ""), ("shop.main", "create_app()"))
        self.assertEqual(suggest.for_path("web.py", "other", ":"), ("web", "other"))

    def test_file_without_an_app(self):
        self.write("web.py", "x = 1\n")
        self.assertEqual(suggest.for_path("web.py", "application", ""), ("web", "application"))

    def test_package(self):
        self.write("a/shop/__init__.py", "application = Django()\n")
        self.assertEqual(suggest.for_path("a/shop", "app", ""), ("a.shop", "application"))
        self.assertEqual(suggest.for_path("a/shop/", "app", ""), ("a.shop", "application"))
        self.assertEqual(suggest.for_path("a/shop/__init__.py", "app", ":"), ("a.shop", "app"))

    def test_elsewhere(self):
        self.write("web.py")
        self.write("below/x")
        os.chdir("below")
        self.assertEqual(suggest.for_path("../web.py", "application", ""), ("web", "app"))

    def test_no_path(self):
        self.write("web.py")
        for name in "web", "none.py", "none/web", "web.main":
            self.assertIsNone(suggest.for_path(name, "app", ""), name)


class Imports(Directory):
    def test_package_that_is_not_installed(self):
        hint = self.for_import("flask_login.utils", "web")
        self.assertRegex(hint, r"^'flask_login' is not installed for Python \d.* \(.*\)$")

    def test_module_that_is_nowhere(self):
        hint = self.for_import("web")
        self.assertIn("'web' is neither in %s, the current directory, nor in the path of Python" % self.dir, hint)
        self.assertIn("\nThe options --chdir and --pythonpath say where it is", hint)

    def test_module_in_a_directory(self):
        self.write("lib/web.py")
        self.assertIn("\nIt is in lib: --pythonpath lib, or --chdir lib", self.for_import("web"))
        self.write("src/web/__init__.py")
        self.assertIn("\nIt is in src: ", self.for_import("web"))
        self.write(".hidden/other.py")
        self.assertNotIn("It is in", self.for_import("other"))

    def test_apps_that_are_here(self):
        self.write("main.py")
        self.write("shop.py", "async def web(scope, receive, send): pass\n")
        self.write("broken.py", "(")
        self.assertIn(". Here are: main:app, shop:web", self.for_import("web"))

    def test_command_of_another_server(self):
        self.write("main.py")
        hint = self.for_import("run")
        self.assertEqual(
            hint, "'run' is taken for the module of the app; for the options: indrik --help. Here are: main:app"
        )

    def test_module_of_a_package(self):
        self.assertEqual(self.for_import("shop.web"), "'shop' is there, 'shop.web' is not")
        self.assertIn("'shop' is neither in", self.for_import("shop", "shop.web"))

    def test_relative_import(self):
        self.write("web.py", "from . import models\n")
        package = os.path.basename(self.dir)
        error = ImportError("attempted relative import with no known parent package")
        self.assertEqual(
            suggest.for_import(error, "web", "app"),
            "web.py is part of the package %s: start one directory up, indrik %s.web:app, or with --chdir .."
            % (package, package),
        )
        self.assertEqual(suggest.for_import(error, "none", "app"), "")
        self.assertEqual(suggest.for_import(error, "shop.web", "app"), "")

    def test_environment_that_is_not_in_use(self):
        for name in "env", "venv", ".venv":
            self.write(name + "/bin/python", "")
            self.assertNotIn("environment in " + name, self.for_import("flask", "web"))
            self.write(name + "/pyvenv.cfg", "")
            self.assertIn(
                "\nThere is an environment in %s that is not in use: activate it, or set INDRIK_PYTHON=%s/bin/python"
                % (name, name),
                self.for_import("flask", "web"),
            )
        with mock.patch.object(sys, "prefix", os.path.join(self.dir, ".venv")):
            self.assertNotIn("environment", self.for_import("flask", "web"))

    def test_directory_that_is_gone(self):
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir(os.path.join(self.dir, "gone"))
        with mock.patch.object(os, "getcwd", return_value="/gone"):
            self.assertIn("'web' is neither in /gone", self.for_import("web"))


class Attributes(unittest.TestCase):
    def test_modules_without_a_file(self):
        module = types.ModuleType("made")
        self.assertEqual(
            suggest.for_attribute(module, "app"),
            "made is a module without a file, which has nothing that looks like an app",
        )
        self.assertIn("sys is a built-in module, a part of Python itself", suggest.for_attribute(sys, "app"))

    def test_order(self):
        module = types.ModuleType("shop")
        exec(
            "class Flask:\n    def __call__(self): pass\n"
            "def factory(): pass\n"
            "def web(environ, start): pass\n"
            "async def live(scope): pass\n"
            "other = Flask()\n"
            "class app: pass\n",
            vars(module),
        )
        self.assertEqual(
            suggest.in_module(module),
            [("web", "WSGI"), ("live", "ASGI"), ("other", "Flask"), ("factory()", "a factory")],
        )
