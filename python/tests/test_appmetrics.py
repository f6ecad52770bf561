"""The variables by which prometheus_client finds the directory for its files."""

import os
import sys
import types
import unittest
from unittest import mock

from indrik import appmetrics
from indrik.generation import Environment

NAMES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


class Choice(unittest.TestCase):
    def setUp(self):
        self.log = mock.Mock()
        patch = mock.patch.dict(os.environ)
        patch.start()
        self.addCleanup(patch.stop)
        modules = mock.patch.dict(sys.modules)
        modules.start()
        self.addCleanup(modules.stop)
        sys.modules.pop("prometheus_client.values", None)
        for name in NAMES:
            os.environ.pop(name, None)

    def library(self, multiprocess):
        values = types.ModuleType("prometheus_client.values")
        values.ValueClass = type("Value", (), {"_multiprocess": multiprocess})
        sys.modules["prometheus_client.values"] = values

    def test_directory(self):
        self.assertEqual(appmetrics.choose("/x", self.log), "/x")
        self.library(True)
        self.assertEqual(appmetrics.choose("/x", self.log), "/x")
        for none in None, "":
            self.assertEqual(appmetrics.choose(none, self.log), "")
        self.assertEqual(self.log.mock_calls, [])

    def test_operators_directory_stays(self):
        for name in NAMES:
            with mock.patch.dict(os.environ, {name: "/theirs"}):
                self.assertEqual(appmetrics.choose("/x", self.log), "")
            self.log.info.assert_called_with(mock.ANY, name)

    def test_library_that_is_there_already(self):
        self.library(False)
        self.assertEqual(appmetrics.choose("/x", self.log), "")
        self.assertIn("Import it in a hook", self.log.warning.call_args[0][0])

    def test_variables(self):
        environment = Environment()
        appmetrics.use("", environment.put)
        self.assertFalse(set(NAMES) & set(os.environ))
        appmetrics.use("/x", environment.put)
        self.assertEqual([os.environ[name] for name in NAMES], ["/x/%d" % os.geteuid()] * 2)
        # The spawner that is kept for a reload finds them as they were.
        environment.restore()
        self.assertFalse(set(NAMES) & set(os.environ))
        with mock.patch("os.geteuid", return_value=7):
            appmetrics.use("/x")
        self.assertEqual([os.environ[name] for name in NAMES], ["/x/7"] * 2)


if __name__ == "__main__":
    unittest.main()
