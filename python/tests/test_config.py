"""The settings as hooks and the app see them, and what a config file binds."""

import unittest

from indrik import config


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
