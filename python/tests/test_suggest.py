"""Hints for an app that is not found."""

import json
import tempfile
import types
import unittest

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
