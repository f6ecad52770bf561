"""The app that a specification names."""

import sys
import unittest

from indrik import loader


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
