import errno
import os
import resource
import signal
import textwrap

from indrik.protocol import (
    REPLY_ERROR,
    REPLY_RESPONSE,
    SCOREBOARD_PROMOTED,
)

from .support import LIMIT, MasterTest

HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


class Configure(MasterTest):
    def test_values_hooks_and_lines(self):
        answer = self.master.configure(
            textwrap.dedent("""\
            import os, ssl
            workers = 3
            bind = ["127.0.0.1:1"]
            class Thing: pass
            def helper(): pass
            _private = 1
            timeout = 5
            if True:
                timeout = 6
            worker_class = Thing
            tuples = (1, 2)
            odd = {1: 2}
            cert_reqs = ssl.CERT_REQUIRED
            def on_starting(server): pass
            def post_request(worker, req): pass
            """)
        )
        self.assertEqual(answer["type"], "ok")
        settings = answer["settings"]
        self.assertEqual(settings.pop("worker_class")["python"][:20], "<class '__config__.T")
        for hook in answer["hooks"]:
            self.assertEqual(settings.pop(hook), {"python": "<%s()>" % hook})
        self.assertEqual(
            settings,
            {
                "workers": 3,
                "bind": ["127.0.0.1:1"],
                "timeout": 6,
                "tuples": [1, 2],
                "cert_reqs": 2,
                "odd": {"python": "{1: 2}"},
                "helper": {"python": "<helper()>"},
            },
        )
        self.assertEqual(answer["hooks"], ["on_starting", "post_request"])
        self.assertEqual(answer["lines"]["workers"], 2)
        self.assertEqual(answer["lines"]["timeout"], 9)

    def test_load(self):
        # As --check-config does, whatever preload_app says.
        answer = self.master.prepare("no_such_module:app", load=True)
        self.assertEqual((answer["type"], answer["stage"]), ("failed", "load"))
        self.assertEqual(self.master.prepare("no_such_module:app")["type"], "ok")

    def test_no_file(self):
        answer = self.master.configure()
        self.assertEqual((answer["settings"], answer["hooks"]), ({}, []))

    def test_read_anew_each_time(self):
        self.assertEqual(self.master.configure("workers = 1")["settings"], {"workers": 1})
        self.assertEqual(self.master.configure("workers = 2")["settings"], {"workers": 2})
        self.assertFalse(os.path.exists(os.path.join(self.dir, "__pycache__")))

    def test_module(self):
        self.master.write("settings_module.py", "workers = 7")
        answer = self.master.call("configure", generation=1, chdir=self.dir, config_file="python:settings_module")
        self.assertEqual(answer["settings"], {"workers": 7})
        answer = self.master.call("configure", generation=1, chdir=self.dir, config_file="python:nix")
        self.assertEqual(answer["error"], "\nError: No module named 'nix'")

    def test_missing(self):
        answer = self.master.call("configure", generation=1, chdir=self.dir, config_file="nix.py")
        self.assertEqual(
            (answer["type"], answer["stage"], answer["error"], answer["code"]),
            ("failed", "config", "\nError: 'nix.py' doesn't exist", 1),
        )

    def test_broken(self):
        answer = self.master.configure("x = 1\ny = 1 / 0\n", name="c.py")
        path = os.path.join(self.dir, "c.py")
        self.assertEqual(answer["error"], "Failed to read config file: " + path)
        lines = answer["traceback"].splitlines()
        self.assertIn('  File "%s", line 2, in <module>' % path, lines)
        self.assertEqual(lines[-1], "ZeroDivisionError: division by zero")
        self.assertNotIn("<indrik>", answer["traceback"])
        answer = self.master.configure("x = (\n")
        self.assertIn("SyntaxError", answer["traceback"])
        self.assertEqual(self.master.configure("x = 1")["type"], "ok")

    def test_exit(self):
        answer = self.master.configure("import sys; sys.exit(7)")
        self.assertEqual((answer["type"], answer["code"]), ("failed", 7))

    def test_bad_hooks(self):
        for text, error in [
            ("def pre_fork(a): pass", "Value must have an arity of: 2"),
            ("def post_request(a): pass", "Value must have an arity of: 4"),
            ("on_exit = 5", "Value is not callable: 5"),
            ("on_exit = 'nix'", "Value 'nix' is not import string. Format: module[.submodules...].object"),
            ("on_exit = 'os.nix'", "Can not load 'nix' from 'os'"),
            ("on_exit = 'nix.nix'", "No module named 'nix'"),
        ]:
            answer = self.master.configure(text + "\nworkers = 2")
            name = text.split("(")[0].split("=")[0].split()[-1]
            self.assertEqual(answer["type"], "ok", text)
            self.assertEqual(answer["settings"]["workers"], 2)
            self.assertEqual(answer["settings"][name]["error"], error)
            self.assertEqual(sorted(answer["settings"][name]), ["error", "python"])
            self.assertNotIn(name, answer["hooks"])

    def test_big_value(self):
        answer = self.master.configure("data = list(range(100000))\nworkers = 2")
        self.assertEqual(answer["settings"]["workers"], 2)
        self.assertEqual(list(answer["settings"]["data"]), ["python"])


class Hooks(MasterTest):
    def test_arguments(self):
        self.master.configure(
            textwrap.dedent("""
            def nworkers_changed(server, new, old):
                server.log.info("changed %s %s %s %s", new, old, server.num_workers, server.cfg.workers)
            def on_exit(server):
                raise RuntimeError("no")
            def when_ready(server):
                import sys
                sys.exit(9)
            """)
        )
        self.master.prepare("app:app", workers=4)
        answer = self.master.call(
            "hook",
            generation=1,
            hook="nworkers_changed",
            args=[2, None],
            server=dict(self.master.server(), num_workers=2),
        )
        self.assertEqual(answer["type"], "ok")
        self.assertIn("changed 2 None 2 4", self.master.read_log())
        answer = self.master.call("hook", generation=1, hook="on_exit")
        self.assertEqual((answer["stage"], answer["error"], answer["code"]), ("hook", "no", 1))
        self.assertIn("RuntimeError: no", answer["traceback"])
        self.assertEqual(self.master.call("hook", generation=1, hook="when_ready")["code"], 9)
        self.assertEqual(self.master.call("hook", generation=1, hook="on_reload")["type"], "ok")

    def test_life_of_a_worker(self):
        worker = self.master.up(
            HELLO,
            textwrap.dedent("""
            def note(name, server, worker):
                server.log.info("%s age=%s pids=%s", name, worker.age, len(server.WORKERS))
            def pre_fork(server, worker): note("pre_fork", server, worker)
            def post_fork(server, worker): note("post_fork", server, worker)
            def worker_exit(server, worker): note("worker_exit", server, worker)
            def child_exit(server, worker): note("child_exit", server, worker)
            def post_worker_init(worker): worker.log.info("post_worker_init %s", worker.wsgi)
            def worker_int(worker): worker.log.info("worker_int")
            """),
        )
        self.master.terminate(worker, signal.SIGINT)
        log = self.master.wait_log("child_exit")
        wanted = [
            "pre_fork age=1",
            "Booting worker with pid: %d" % worker.pid,
            "post_fork age=1",
            "post_worker_init <function app",
            "worker_int",
            "Worker exiting (pid: %d)" % worker.pid,
            "worker_exit age=1",
            "child_exit age=1",
        ]
        places = [log.index(text) for text in wanted]
        self.assertEqual(places, sorted(places), log)

    def test_pre_fork_fails(self):
        self.master.write("app.py", HELLO)
        self.master.configure("def pre_fork(server, worker): 1 / 0")
        self.master.prepare("app:app")
        answer = self.master.spawn(ready=False).answer
        self.assertEqual((answer["type"], answer["stage"]), ("failed", "hook"))


class Life(MasterTest):
    def test_deaf_to_signals(self):
        self.master.configure()
        for name in ("SIGINT", "SIGHUP", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH"):
            self.master.process.send_signal(getattr(signal, name))
        self.assertEqual(self.master.configure()["type"], "ok")

    def test_signals_are_told(self):
        self.master.configure()
        for name in ("SIGHUP", "SIGTTIN"):
            number = getattr(signal, name)
            self.master.process.send_signal(number)
            self.assertEqual(self.master.expect("signalled")["signal"], number)

    def test_ping(self):
        self.assertEqual(self.master.call("ping"), {"type": "ok", "call": 1})

    def test_no_room_for_descriptors(self):
        self.master.up(HELLO)
        pid = self.master.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir("/proc/%d/fd" % pid)) + 2, hard))
        answer = self.master.spawn(ready=False).answer
        self.assertEqual((answer["type"], answer["stage"], answer["errno"]), ("failed", "system", errno.EMFILE))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(self.master.spawn().answer["type"], "ok")

    def test_exit_waits_for_workers(self):
        worker = self.master.up(HELLO)
        self.master.message("exit")
        self.assertEqual(self.master.get(worker)[0], REPLY_RESPONSE)
        self.assertIsNone(self.master.process.poll())
        self.assertEqual(self.master.terminate(worker)["code"], 0)
        self.assertEqual(self.master.process.wait(LIMIT), 0)

    def test_end_of_the_master(self):
        self.master.configure()
        self.master.control.close()
        self.assertEqual(self.master.process.wait(LIMIT), 0)

    def test_killed_worker(self):
        worker = self.master.up(HELLO)
        os.kill(worker.pid, signal.SIGKILL)
        event = self.master.exited(worker)
        self.assertEqual((event["pid"], event["code"], event["signal"]), (worker.pid, 0, 9))

    def test_nothing_leaks(self):
        self.master.up(HELLO)
        pid = self.master.process.pid
        counts = []
        for _ in range(3):
            worker = self.master.spawn(slots=12)
            self.master.terminate(worker)
            counts.append(len(os.listdir("/proc/%d/fd" % pid)))
        self.assertEqual(len(set(counts)), 1, counts)

    def test_worker_holds_only_its_own(self):
        self.master.up(HELLO)
        self.master.prepare("app:app", generation=2)
        second = self.master.spawn(generation=2)
        sockets = [os.readlink("/proc/%d/fd/%s" % (second.pid, fd)) for fd in os.listdir("/proc/%d/fd" % second.pid)]
        # Its slot, its queue, its channel, and the end to come.
        self.assertEqual(sum(s.startswith("socket:") for s in sockets), 4, sockets)
        self.assertEqual(self.master.get(second, generation=2)[4], b"hello")

    def test_titles(self):
        worker = self.master.up(HELLO, loglevel="debug")

        def title(pid):
            with open("/proc/%d/cmdline" % pid) as f:
                return f.read()

        spawner = self.master.process.pid
        self.assertEqual(title(spawner), "indrik: spawner [test]\0")
        self.assertEqual(title(worker.pid), "indrik: worker [test]\0")
        with open("/proc/%d/comm" % spawner) as f:
            self.assertEqual(f.read(), "indrik: spawner\n")
        self.master.name = "test.2"
        self.master.message("title", title="indrik: spawner [test.2]")
        late = self.master.spawn()
        self.assertEqual(title(spawner), "indrik: spawner [test.2]\0")
        self.assertEqual(title(late.pid), "indrik: worker [test.2]\0")
        # After the end of the other master.
        self.master.signal_until(late, signal.SIGWINCH, lambda: "SIGWINCH ignored" in self.master.read_log())
        self.assertEqual(title(late.pid), "indrik: worker [test.2]\0")
        late.scoreboard[SCOREBOARD_PROMOTED] = 1
        self.master.signal_until(late, signal.SIGWINCH, lambda: title(late.pid) == "indrik: worker [test]\0")


class Preload(MasterTest):
    def test_app_is_kept(self):
        self.master.up(
            "import os\nPID = os.getpid()\n" + HELLO.replace('b"hello"', "str(PID).encode()"), preload_app=True
        )
        spawner = str(self.master.process.pid).encode()
        self.assertEqual(self.master.get(self.master.workers[0])[4], spawner)
        self.master.write("app.py", "broken")
        self.master.configure("", generation=2)
        self.assertEqual(self.master.prepare("app:app", generation=2, load=False, preload_app=True)["type"], "ok")
        worker = self.master.spawn(generation=2)
        self.assertEqual(self.master.get(worker, generation=2)[4], spawner)
        # The generation before goes on, until it is released.
        self.master.terminate(self.master.workers[0])
        self.assertEqual(self.master.get(self.master.spawn(generation=1))[0], REPLY_RESPONSE)
        before = len(os.listdir("/proc/%d/fd" % self.master.process.pid))
        self.master.message("release", generation=1)
        self.master.call("hook", generation=2, hook="on_reload")  # it has been handled
        self.assertLess(len(os.listdir("/proc/%d/fd" % self.master.process.pid)), before)

    def test_failures(self):
        self.master.write("app.py", "x = None\n")
        for app, traced, error in [
            ("nix", True, "No module named 'nix'"),
            ("app.py", True, "Failed to find application, did you mean 'app:application'?"),
            ("app:nix", False, "Failed to find attribute 'nix' in 'app'."),
            ("app:x", False, "Failed to find application object: 'x'"),
        ]:
            answer = self.master.prepare(app, preload_app=True)
            self.assertEqual((answer["stage"], answer["code"]), ("load", 1))
            # Once: in the traceback, if there is one.
            self.assertEqual(answer["error"].partition("\n")[0], "" if traced else error)
            self.assertEqual(error in answer["traceback"], traced)
        self.master.write("exits.py", "import sys; sys.exit(5)")
        self.assertEqual(self.master.prepare("exits", preload_app=True)["code"], 5)


class Shared(MasterTest):
    """What is imported before the fork."""

    CONFIG = """
import sys
def post_fork(server, worker):
    worker.log.info("imported: %s", [name for name in ("asyncio", "indrik.asgi") if name in sys.modules])
"""
    ASGI = "async def app(scope, receive, send): pass"

    def imported(self, source, **settings):
        self.master.terminate(self.master.up(source, self.CONFIG, **settings))
        return self.master.read_log().partition("imported: ")[2].partition("\n")[0]

    def test_not_with_wsgi(self):
        self.assertEqual(self.imported(HELLO), "[]")

    def test_not_before_it_shows(self):
        self.assertEqual(self.imported(self.ASGI), "[]")

    def test_asgi(self):
        self.assertEqual(self.imported(self.ASGI, worker_class="asgi"), "['asyncio', 'indrik.asgi']")

    def test_preloaded_asgi(self):
        self.assertEqual(self.imported(self.ASGI, preload_app=True), "['asyncio', 'indrik.asgi']")

    def test_failure_is_told_by_the_worker(self):
        self.master.write("uvloop.py", "1 / 0")
        self.master.write("app.py", self.ASGI)
        self.master.configure()
        self.assertEqual(self.master.prepare("app:app", worker_class="asgi")["type"], "ok")
        worker = self.master.spawn(ready=False)
        self.assertEqual(self.master.exited(worker)["code"], 3)
        self.assertIn("ZeroDivisionError", self.master.read_log())


class Environment(MasterTest):
    def test_environment_path_and_directory(self):
        os.makedirs(os.path.join(self.dir, "sub", "lib"))
        self.master.write(
            "sub/app.py",
            textwrap.dedent("""
            import os, sys, lib_module
            def app(environ, start_response):
                start_response("200 OK", [])
                return [repr((os.getcwd(), sys.path[0:2], os.environ.get("A"), os.environ.get("HOME"),
                              os.environ["SERVER_SOFTWARE"], sys.argv)).encode()]
            """),
        )
        self.master.write("sub/lib/lib_module.py", "")
        self.master.configure()
        sub = os.path.join(self.dir, "sub")
        self.master.prepare("app:app", chdir=sub, pythonpath="lib", raw_env=["A=1=2", "HOME=/h"])
        got = eval(self.master.get(self.master.spawn())[4])
        self.assertEqual(got, (sub, [os.path.join(sub, "lib"), sub], "1=2", "/h", "indrik/1.2.3", ["indrik"]))
        # The next generation finds what was there first.
        self.master.configure(generation=2)
        self.master.prepare("app:app", generation=2, chdir=sub, pythonpath="lib", raw_env=["A=3"])
        got = eval(self.master.get(self.master.spawn(generation=2), generation=2)[4])
        self.assertEqual(got[2:4], ("3", os.environ.get("HOME")))
        # A worker of the first one that comes late has its own.
        late = self.master.spawn(generation=1)
        self.master.terminate(self.master.workers[0])
        self.assertEqual(eval(self.master.get(late)[4])[2:4], ("1=2", "/h"))

    def test_bad_directory(self):
        answer = self.master.prepare("app:app", chdir=self.dir + "/nix")
        self.assertEqual((answer["type"], answer["stage"]), ("failed", "config"))

    def test_log_file(self):
        path = os.path.join(self.dir, "error.log")
        worker = self.master.up(HELLO.replace('start_response("200', "1/0 #"), errorlog=path)
        os.rename(path, path + ".1")
        self.master.message("reopen")
        os.kill(worker.pid, signal.SIGUSR1)
        self.assertEqual(self.master.get(worker)[0], REPLY_ERROR)
        with open(path) as f:
            log = f.read()
        self.assertRegex(
            log,
            r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[%d\] \[ERROR\] "
            r"Error handling request GET /\nTraceback" % worker.pid,
        )
        with open(path + ".1") as f:
            self.assertIn("[INFO] Booting worker with pid: %d" % worker.pid, f.read())
