"""The calls of the master that have to do with neither settings nor workers."""

import json
import os
import unittest

from .support import LIMIT, MasterTest, memory, pair, receive, send

APP = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n"

MINE = "import indrik.glogging\nclass Mine(indrik.glogging.Logger):\n    pass\n"
SSL_HOOK = "def ssl_context(config, default):\n    return %s\n"


class CallTest(MasterTest):
    def ready(self, config="", source=APP, **settings):
        self.master.write("app.py", source)
        self.assertEqual(self.master.configure(config)["type"], "ok")
        answer = self.master.prepare("app:app", **settings)
        self.assertEqual(answer["type"], "ok", answer)
        return answer

    def hook(self, name, *args, generation=1):
        return self.master.call("hook", generation=generation, hook=name, args=args, server=self.master.server())

    def ok(self, what, **fields):
        answer = self.master.call(what, **fields)
        self.assertEqual(answer.pop("type"), "ok", answer)
        answer.pop("call")
        return answer

    def failed(self, answer, stage, text):
        self.assertEqual((answer["type"], answer["stage"]), ("failed", stage), answer)
        self.assertIn(text, answer["error"] + answer.get("traceback", ""))


class Attributes(CallTest):
    """What hooks have set on the server goes to the next spawner."""

    def test_carried(self):
        self.ready("def on_starting(server):\n    server.seen, server.lock = [1], __import__('threading').Lock()\n")
        self.assertEqual(self.hook("on_starting")["type"], "ok")
        answer = self.ok("attributes")
        self.assertEqual(list(answer["lost"]), ["lock"])
        self.assertEqual(self.ok("adopt", attributes=answer["attributes"]), {"lost": {}})

    def test_adopted(self):
        self.ready("def on_starting(server):\n    print('has', server.seen, flush=True)\n")
        self.assertEqual(self.ok("attributes"), {"attributes": {}, "lost": {}})
        self.failed(self.hook("on_starting"), "hook", "'Server' object has no attribute 'seen'")


class Hooks(CallTest):
    def test_of_a_config_file_that_is_not_prepared(self):
        self.master.configure("def on_exit(server):\n    print('by', server.num_workers, flush=True)\n", generation=3)
        self.assertEqual(self.hook("on_exit", generation=3)["type"], "ok")
        self.assertIn("by 1\n", self.master.read_log())
        self.assertEqual(self.hook("when_ready", generation=3)["type"], "ok")  # there is none

    def test_exit(self):
        for text, code in ("SystemExit(7)", 7), ("SystemExit('word')", 1), ("KeyboardInterrupt", 1):
            self.ready("def when_ready(server):\n    raise %s\n" % text)
            answer = self.hook("when_ready")
            self.assertEqual((answer["stage"], answer["code"]), ("hook", code))

    def test_logging_that_a_hook_changes(self):
        """The master has to know when its lines go through Python."""
        self.ready(
            "import logging\n"
            "def on_starting(server):\n    pass\n"
            "def when_ready(server):\n    server.log.error_log.addFilter(lambda record: True)\n"
        )
        self.assertFalse(self.hook("on_starting")["logger"])
        self.assertTrue(self.hook("when_ready")["logger"])


class Exit(CallTest):
    def test_lingers(self):
        self.ready(
            "import threading, time\n"
            "def on_starting(server):\n"
            "    threading.Thread(target=time.sleep, args=(100,), daemon=True).start()\n"
        )
        self.assertEqual(self.hook("on_starting")["type"], "ok")
        self.assertEqual(self.ok("exit", linger=True), {"lingers": True})
        self.ok("ping")
        self.assertEqual(self.ok("exit", linger=False), {})
        self.assertEqual(self.master.process.wait(LIMIT), 0)

    def test_nothing_is_left(self):
        self.ready()
        self.assertEqual(self.hook("on_starting")["type"], "ok")
        self.assertEqual(self.ok("exit", linger=True), {})
        self.assertEqual(self.master.process.wait(LIMIT), 0)


class Workers(CallTest):
    def test_of_another_spawner(self):
        self.ready("def when_ready(server):\n    print(sorted(map(str, server.WORKERS.values())), flush=True)\n")
        self.ok("workers", workers=[[5, 1], [6, 2]])
        self.hook("when_ready")
        self.assertIn("['<Worker 5>', '<Worker 6>']\n", self.master.read_log())
        self.ok("workers", workers=[])
        self.hook("when_ready")
        self.assertIn("[]\n", self.master.read_log())

    @unittest.skipUnless(os.path.isdir("/proc/self/fd"), "needs /proc")
    def test_generation_that_is_released(self):
        directory = "/proc/%d/fd" % self.master.process.pid
        self.ready()
        before = len(os.listdir(directory))
        for _ in range(2):
            self.ok("release", generation=1)  # a second time is nothing
            self.assertEqual(len(os.listdir(directory)), before - 1)  # its queue


class Logger(CallTest):
    """The spawner forks the process that writes the lines of the others."""

    def test_lines(self):
        answer = self.ready(
            "logger_class = 'app.Mine'\n",
            "import indrik.glogging\nclass Mine(indrik.glogging.Logger):\n    pass\n" + APP,
            logger_class={"python": "app.Mine"},
        )
        self.assertIn("logger", answer)
        records, theirs = pair()
        control, other = pair()
        dump = memory(0)
        answer = self.ok("logger", generation=1, fds=[theirs.fileno(), other.fileno(), dump])
        for sock in theirs, other:
            sock.close()
        os.close(dump)
        self.assertGreater(answer["pid"], 0)
        self.assertEqual(answer["level"], 20)
        send(control, b'{"type": "ping"}')
        self.assertEqual(json.loads(receive(control)[0])["type"], "ok")
        send(
            records,
            json.dumps({"level": 20, "message": "of the front", "pid": 99, "role": "front", "time": 1.5}).encode(),
        )
        log = self.master.wait_log("of the front")
        self.assertRegex(log, r"\[1970-01-01 [^\]]*\] \[99\] \[INFO\] of the front\n")
        records.close()
        self.assertEqual(receive(control)[0], b"")
        control.close()


class Load(CallTest):
    """An app that the spawner cannot import, in the words of the master's log."""

    def load(self, source):
        self.master.write("app.py", source)
        self.master.configure()
        return self.master.prepare("app:app", load=True)

    def test_errors(self):
        for source, code, text in [
            ("import sys\nsys.exit(7)", 7, "the app called sys.exit(7)"),
            ("import sys\nsys.exit()", 0, "the app called sys.exit(None)"),
            ("raise SystemExit('word')", 1, "the app called sys.exit('word')"),
            ("1 / 0", 1, "ZeroDivisionError"),
            ("app = None", None, "Failed to find application object: 'app'"),
        ]:
            answer = self.load(source)
            self.failed(answer, "load", text)
            if code is not None:
                self.assertEqual(answer.get("code"), code, source)
            os.unlink(os.path.join(self.dir, "app.py"))

    def test_app_is_not_imported_again(self):
        self.ready(source="print('imported', flush=True)\n" + APP, preload_app=True)
        self.master.configure("", generation=2)
        self.master.prepare("app:app", generation=2, load=False, preload_app=True)
        self.assertEqual(self.master.read_log().count("imported\n"), 1)


class TLS(CallTest):
    def context(self, hook):
        self.master.configure(hook)
        return self.master.call(
            "ssl_context", generation=1, settings={"certfile": "/x", "chdir": self.dir}, app="app:app"
        )

    def test_what_is_refused(self):
        self.failed(
            self.context(SSL_HOOK % "None"),
            "config",
            "\nError: ssl_context: it has to return an ssl.SSLContext, not None",
        )
        self.failed(
            self.context(SSL_HOOK % "default()"),
            "config",
            "\nError: ssl_context: [Errno 2] No such file or directory",
        )


class Titles(CallTest):
    @unittest.skipUnless(os.path.exists("/proc/self/cmdline"), "needs /proc")
    def test_name_of_the_master(self):
        self.ready()
        self.ok("title", title="indrik: master [shop.2]")
        with open("/proc/%d/cmdline" % self.master.process.pid) as f:
            self.assertEqual(f.read().rstrip("\0"), "indrik: spawner [shop.2]")
