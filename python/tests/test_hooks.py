"""Hooks and the number of their arguments."""

import functools
import os
import unittest

from indrik import hooks


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
