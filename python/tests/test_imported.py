"""What a worker tells the master of what it has imported."""

import json
import os
import sys
import tempfile
import types
import unittest

from indrik import imported


class Channel:
    def __init__(self):
        self.sent = []

    def send(self, kind, **fields):
        assert kind == "files"
        self.sent.append(fields)

    def files(self):
        files = [f for fields in self.sent for f in fields["files"]]
        self.sent.clear()
        return files


class ImportedTest(unittest.TestCase):
    def setUp(self):
        self.channel = Channel()
        self.imported = imported.Imported(self.channel, 12.5)
        self.added = []

    def tearDown(self):
        for name in self.added:
            sys.modules.pop(name, None)

    def add(self, name, path):
        module = types.ModuleType(name)
        module.__file__ = path
        sys.modules[name] = module
        self.added.append(name)

    def test_each_once(self):
        self.add("imported_a", "/srv/a.py")
        self.imported.tell()
        self.assertEqual(self.channel.sent[0]["since"], 12.5)
        first = self.channel.files()
        self.assertIn("/srv/a.py", first)
        self.assertIn(os.path.abspath(__file__), first)
        self.assertFalse([f for f in first if f.startswith(os.path.dirname(os.__file__) + "/json")])
        self.imported.tell()
        self.assertEqual(self.channel.sent, [])
        self.add("imported_b", "/srv/b.pyc")
        self.imported.tell()
        self.assertGreater(self.channel.sent[0]["since"], 12.5)
        self.assertEqual(self.channel.files(), ["/srv/b.py"])

    def test_odd_modules(self):
        self.imported.tell()
        self.channel.sent.clear()
        self.add("imported_none", None)
        self.add("imported_number", 3)
        self.add("imported_nameless", "/srv/\udcff.py")
        sys.modules["imported_object"] = object()
        self.added.append("imported_object")
        sys.modules["imported_nothing"] = None
        self.added.append("imported_nothing")
        self.imported.tell()
        self.assertEqual(self.channel.files(), ["/srv/\udcff.py"])

    def test_portions(self):
        self.imported.tell()
        self.channel.sent.clear()
        paths = ["/srv/%s/%d.py" % ("x\u0436"[n % 2] * 200, n) for n in range(1000)]
        for n, path in enumerate(paths):
            self.add("imported_many_%d" % n, path)
        self.imported.tell()
        self.assertGreater(len(self.channel.sent), 3)
        for fields in self.channel.sent:
            self.assertLess(len(json.dumps(fields)), 64 << 10)
        self.assertEqual(sorted(self.channel.files()), sorted(paths))

    def test_failures(self):
        self.imported.tell()
        self.channel.sent.clear()
        with tempfile.TemporaryDirectory() as directory:
            broken = os.path.join(directory, "broken.py")
            with open(broken, "w") as f:
                f.write("def (:\n")
            try:
                try:
                    with open(broken) as f:
                        compile(f.read(), broken, "exec")
                except SyntaxError as e:
                    raise RuntimeError("because of it") from e
            except RuntimeError as e:
                self.imported.tell_failure(e)
        self.assertEqual(self.channel.files(), [broken])
        self.imported.tell_failure(None)
        self.assertEqual(self.channel.sent, [])


if __name__ == "__main__":
    unittest.main()
