"""The settings of programs that start the server, and their way to the spawner."""

import io
import os
import sys
import tempfile
import unittest
from contextlib import redirect_stderr
from unittest import mock

from indrik import config, launch, program
from indrik.app.base import Application, BaseApplication
from indrik.app.wsgiapp import WSGIApplication
from indrik.compat.arbiter import Arbiter
from indrik.compat.config import KNOWN_SETTINGS, Config, Setting, make_settings, validate_callable, validate_pos_int
from indrik.view import Server


class Settings(unittest.TestCase):
    def test_what_is_set_has_its_type(self):
        cfg = Config()
        for name, value, want in (
            ("workers", "4", 4),
            ("workers", "auto", "auto"),
            ("preload_app", "true", True),
            ("preload_app", "no", False),
            ("bind", "127.0.0.1:1, unix:/x", ["127.0.0.1:1", "unix:/x"]),
            ("reload_extra_files", "a", ["a"]),
            ("proc_name", "x", "x"),
        ):
            cfg.set(name, value)
            self.assertEqual(cfg.settings[name].get(), want)
        self.assertEqual(cfg.address, [("127.0.0.1", 1), "/x"])
        with self.assertRaisesRegex(AttributeError, "No configuration setting for: wrokers"):
            cfg.set("wrokers", 1)
        with self.assertRaisesRegex(TypeError, "arity"):
            cfg.set("post_fork", lambda server: None)
        with self.assertRaisesRegex(AttributeError, "Invalid access!"):
            cfg.workers = 3

    def test_defaults(self):
        cfg = Config(prog="x")
        self.assertEqual((cfg.workers, cfg.bind, cfg.threads, cfg.proc_name), (1, ["127.0.0.1:8000"], 1, "gunicorn"))
        self.assertEqual(str(cfg.worker_class), "<class 'gunicorn.workers.sync.SyncWorker'>")
        self.assertEqual((cfg.uid, cfg.is_ssl, cfg.worker_class_str), (os.geteuid(), False, "sync"))
        self.assertEqual(cfg.post_fork(1, 2), None)
        cfg.settings["bind"].get().append("x")
        self.assertEqual(Config().bind, ["127.0.0.1:8000"])
        self.assertEqual(make_settings(ignore=("bind",)).keys() ^ make_settings().keys(), {"bind"})

    def test_a_setting_of_ones_own(self):
        class Greeting(Setting):
            name = "greeting"
            section = "Mine"
            cli = ["--greeting"]
            validator = staticmethod(validate_pos_int)
            default = "3"

        self.addCleanup(KNOWN_SETTINGS.remove, Greeting)
        cfg = Config()
        self.assertEqual(cfg.greeting, 3)
        args = cfg.parser().parse_args(["--greeting", "5", "-w", "2", "--preload", "-b", ":1", "-b", ":2", "app:app"])
        self.assertEqual((args.greeting, args.workers, args.preload_app), ("5", "2", True))
        self.assertEqual((args.bind, args.args), ([":1", ":2"], ["app:app"]))
        cfg.set("greeting", "7")
        application = mock.Mock(cfg=cfg)
        file = program.ProgramSettings(application, config.ConfigFile())
        self.assertEqual((file.further, file.values), ({"greeting": 7}, {}))

    def test_validators(self):
        self.assertIs(validate_callable(1)(len), len)
        for function, value in ((validate_callable(2), len), (validate_callable(-1), 5)):
            with self.assertRaises(TypeError):
                function(value)
        with self.assertRaises(ValueError):
            validate_pos_int("-1")


class Mine(BaseApplication):
    def load_config(self):
        self.cfg.set("workers", 2)
        self.cfg.set("post_fork", lambda server, worker: None)

    def load(self):
        return object()


class Applications(unittest.TestCase):
    def test_what_the_spawner_gets(self):
        application = Mine()
        above = config.ConfigFile()
        above.values["workers"] = 5
        file = program.ProgramSettings(application, above)
        self.assertEqual(file.values, {"workers": 5})
        self.assertEqual(list(file.hooks), ["post_fork"])
        app = file.app("run.py", mock.Mock())
        self.assertIs(app.shown, application)
        self.assertIs(app._load("run.py"), application.wsgi())
        app.configure("cfg")
        self.assertEqual((app.cfg, application.cfg), ("cfg", "cfg"))

    def test_a_command_line_and_a_file(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "conf.py")
            with open(path, "w") as f:
                f.write("workers = 3\ntimeout = 9\ndef when_ready(server):\n    pass\nother = 1\n")
            argv = ["run.py", "-c", path, "--workers", "4", "os:getcwd"]
            with mock.patch.object(sys, "argv", argv), mock.patch.dict(os.environ, GUNICORN_CMD_ARGS="--threads 2"):
                application = WSGIApplication()
        file = program.ProgramSettings(application, config.ConfigFile())
        expected = {"config": path, "workers": 4, "timeout": 9, "threads": 2, "default_proc_name": "os:getcwd"}
        self.assertEqual(file.values, expected)
        self.assertEqual(list(file.hooks), ["when_ready"])
        self.assertIs(application.load(), os.getcwd)

    def test_no_app(self):
        said = io.StringIO()
        with mock.patch.object(sys, "argv", ["run.py"]), redirect_stderr(said), self.assertRaises(SystemExit) as caught:
            WSGIApplication()
        self.assertEqual((caught.exception.code, said.getvalue()), (1, "\nError: No application module specified.\n"))

    def test_arbiter(self):
        self.assertIsInstance(Server(), Arbiter)
        with self.assertRaisesRegex(NotImplementedError, "My derives from Arbiter, and that is the business"):
            type("My", (Arbiter,), {})(Mine())
        with mock.patch.object(program, "serve") as serve:
            application = Mine()
            Arbiter(application).run()
        serve.assert_called_once_with(application)
        self.assertTrue(issubclass(Application, BaseApplication))


class Start(unittest.TestCase):
    def words(self, main, orig_argv):
        with mock.patch.dict(sys.modules, {"__main__": main}), mock.patch.object(
            sys, "orig_argv", orig_argv, create=True
        ):
            return program._words()

    def test_the_program_is_named_with_its_arguments(self):
        main = mock.Mock(__spec__=None, __file__="dir/run.py")
        path = os.path.abspath("dir/run.py")
        self.assertEqual(
            self.words(main, ["python", "-X", "dev", "dir/run.py", "-m", "x"]), ["file:" + path, "-m", "x"]
        )
        spec = mock.Mock()
        spec.name = "pkg.__main__"
        main = mock.Mock(__spec__=spec)
        self.assertEqual(self.words(main, ["python", "-m", "pkg", "--port", "1"]), ["python:pkg", "--port", "1"])
        with self.assertRaises(launch.LaunchError):
            self.words(mock.Mock(spec=[], __spec__=None), ["python"])

    def test_while_an_app_is_imported(self):
        with mock.patch.dict(sys.modules, {"indrik.spawner": mock.Mock()}), self.assertRaisesRegex(
            launch.LaunchError, "put the call under"
        ):
            Mine().run()


class Execute(unittest.TestCase):
    def execute(self, text, then=None):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "run.py")
            with open(path, "w") as f:
                f.write(text)
            before = list(sys.path), list(sys.argv)
            try:
                program.execute(["file:" + path, "x"], then or self.fail)
            finally:
                sys.path[:], sys.argv[:] = before
                program._serve = None

    def test_run_is_reached(self):
        class Reached(BaseException):
            pass

        def then(application):
            self.assertEqual((type(application).__name__, sys.argv[1:]), ("A", ["x"]))
            raise Reached

        with self.assertRaises(Reached):
            self.execute(
                "from indrik.app.base import BaseApplication\n"
                "class A(BaseApplication):\n    def load_config(self):\n        pass\n"
                "if __name__ == '__main__':\n    A().run()\n",
                then,
            )

    def test_it_is_not(self):
        for text, code, want in (
            ("", 1, "has ended, and started no server"),
            ("raise SystemExit(7)", 7, "has ended with code 7"),
            ("raise SystemExit()", 0, "has ended with code 0"),
            ("raise SystemExit('no')", 1, "no"),
            ("1/0", 1, "Error while running"),
        ):
            with self.assertRaises(program.ProgramError) as caught:
                self.execute(text)
            self.assertIn(want, str(caught.exception))
            self.assertEqual(caught.exception.code, code)
