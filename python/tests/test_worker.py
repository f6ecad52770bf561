import os
import select
import signal
import textwrap
import time
import unittest

from indrik.protocol import (
    REPLY_CHUNK,
    REPLY_END,
    REPLY_ERROR,
    REPLY_REFUSED,
    REPLY_RESPONSE,
    REPLY_START,
    SCOREBOARD_PROMOTED,
)

from .support import LIMIT, MasterTest, receive, strict


class WorkerTest(MasterTest):
    def up(self, **kwargs):
        gate = os.path.join(self.dir, "gate")
        os.mkfifo(gate)
        return self.master.serve("worker_control:app", raw_env=["GATE=" + gate], **kwargs)

    def busy(self, worker, slot=0):
        """Has a slot run a request; returns its id and what ends it."""
        id = self.master.request("/wait")
        # Opening blocks until the app reads.
        return id, open(os.path.join(self.dir, "gate"), "w")


class Term(WorkerTest):
    def test_idle(self):
        worker = self.up()
        event = self.master.terminate(worker)
        self.assertEqual((event["code"], event["signal"]), (0, 0))
        self.assertIn("Worker exiting (pid: %d)" % worker.pid, self.master.read_log())
        self.assertNotIn("Parent changed", self.master.read_log())

    def test_request_is_finished(self):
        worker = self.up()
        id, gate = self.busy(worker)
        for _ in range(3):
            os.kill(worker.pid, signal.SIGTERM)
        queued = self.master.request("/")  # not taken
        gate.close()
        self.assertEqual(self.master.response(worker)[:2], (REPLY_RESPONSE, id))
        self.master.exited(worker)
        # What it did not take is there for another worker.
        self.assertEqual(self.master.response(self.master.spawn())[:2], (REPLY_RESPONSE, queued))

    def test_threads(self):
        worker = self.up(slots=3)
        event = self.master.terminate(worker)
        self.assertEqual((event["code"], event["signal"]), (0, 0))

    def test_threads_finish_their_request(self):
        worker = self.up(slots=3)
        id, gate = self.busy(worker)
        slot = next(i for i in range(3) if worker.claimed(i) == id)
        os.kill(worker.pid, signal.SIGTERM)
        # The idle slots have ended when the queue is read no more.
        gate.close()
        self.assertEqual(self.master.response(worker, slot)[:2], (REPLY_RESPONSE, id))
        self.assertEqual(self.master.terminate(worker)["code"], 0)

    def test_while_importing(self):
        gate = os.path.join(self.dir, "gate")
        os.mkfifo(gate)
        self.master.write("app.py", "import os\nopen(os.environ['GATE']).read()\nfrom worker_control import app\n")
        self.master.configure()
        self.master.prepare("app:app", raw_env=["GATE=" + gate])
        worker = self.master.spawn(ready=False)
        with open(gate, "w"):
            os.kill(worker.pid, signal.SIGTERM)
        event = self.master.exited(worker)
        self.assertEqual((event["code"], event["signal"]), (128 + signal.SIGTERM, 0))
        self.assertFalse([e for e in self.master.events if e["type"] == "ready"])

    def test_many_rounds(self):
        # A signal that comes just before a system call blocks is the hard case.
        self.up()
        for slots in (1, 4):
            for _ in range(5):
                self.master.terminate(self.master.spawn(slots=slots))

    def test_no_message_is_lost(self):
        stays = self.up()
        wanted, got = set(), []
        for slots_of_next in (1, 4, 1, 4, 1, 4):
            leaves = self.master.spawn(slots=slots_of_next)
            sockets = stays.slots + leaves.slots
            wanted |= {self.master.request("/") for _ in range(20)}
            gone = False
            while not gone or len(got) < len(wanted):
                if not gone:
                    try:
                        os.kill(leaves.pid, signal.SIGTERM)
                    except ProcessLookupError:
                        gone = True
                for sock in select.select(sockets, [], [], 0.01)[0]:
                    data, _ = receive(sock)
                    if data:
                        got.append(strict(data)[:2])
                    else:
                        sockets.remove(sock)
            self.master.exited(leaves)
        self.assertEqual(sorted(got), sorted((REPLY_RESPONSE, n) for n in wanted))


class Quit(WorkerTest):
    def test_idle(self):
        for slots in (1, 2):
            worker = self.up() if slots == 1 else self.master.spawn(slots=slots)
            self.assertEqual(self.master.terminate(worker, signal.SIGQUIT)["code"], 0)
            self.assertIn("Worker exiting (pid: %d)" % worker.pid, self.master.read_log())

    def test_busy(self):
        worker = self.up()
        _, gate = self.busy(worker)
        with gate:
            self.assertEqual(self.master.terminate(worker, signal.SIGINT)["code"], 0)
        self.assertEqual(receive(worker.slots[0])[0], b"")
        self.assertNotIn("Error handling", self.master.read_log())

    def test_busy_thread(self):
        worker = self.up(slots=2, config="def worker_exit(s, w): s.log.info('hook worker_exit')")
        _, gate = self.busy(worker)
        with gate:
            self.assertEqual(self.master.terminate(worker, signal.SIGINT)["code"], 0)
        self.assertEqual(self.master.read_log().count("hook worker_exit"), 1)


class Abort(WorkerTest):
    CONFIG = "def worker_abort(w): w.log.info('hook worker_abort')\n"

    def test_busy(self):
        for slots in (1, 2):
            if slots == 1:
                worker = self.up(config=self.CONFIG)
            else:
                worker = self.master.spawn(slots=slots)
            _, gate = self.busy(worker)
            with gate:
                self.assertEqual(self.master.terminate(worker, signal.SIGABRT)["code"], 1)
            log = self.master.read_log()
            self.assertEqual(log.count("hook worker_abort"), slots)
            self.assertIn("Worker exiting (pid: %d)" % worker.pid, log)

    def test_end_that_hangs(self):
        worker = self.up(
            config=(
                "import threading, time\n"
                "def worker_exit(server, worker):\n"
                "    threading.Thread(target=lambda: open(worker.cfg.env['GATE']).read()).start()\n"
            )
        )
        self.master.begin_end(worker)
        with open(os.path.join(self.dir, "gate"), "w"):
            self.assertEqual(self.master.terminate(worker, signal.SIGABRT)["code"], 1)

    def test_stacks(self):
        worker = self.up(slots=2)
        _, gate = self.busy(worker)
        with gate:
            # The stacks of one moment need not show what they do the next.
            end = time.monotonic() + LIMIT
            while "Thread 0x" not in worker.dump() or "worker_control.py" not in worker.dump():
                self.assertLess(time.monotonic(), end, worker.dump())
                os.kill(worker.pid, 40)
                time.sleep(0.05)


class Ignored(WorkerTest):
    def test_hup_and_usr2(self):
        worker = self.up()
        for _ in range(3):
            for name in ("SIGHUP", "SIGUSR2", "SIGWINCH", "SIGUSR1"):
                os.kill(worker.pid, getattr(signal, name))
            self.assertEqual(self.master.get(worker)[0], REPLY_RESPONSE)

    def test_children_do_not_ignore_them(self):
        code = "import signal; print([s for s in (1, 2, 12, 15) if signal.getsignal(s) == signal.SIG_IGN])"
        worker = self.master.up(
            """
import subprocess, sys
def app(environ, start_response):
    start_response("200 OK", [])
    return [subprocess.check_output([sys.executable, "-c", %r])]
"""
            % code
        )
        # Whatever this process ignores: nohup(1) has it ignore SIGHUP.
        self.assertEqual(self.master.get(worker)[4].strip(), b"[]")

    def test_children_end_by_them(self):
        worker = self.master.up("""
import os, signal
def app(environ, start_response):
    ready, go = os.pipe()
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        os.write(go, b"x")
        while True:
            os.sched_yield()
    os.read(ready, 1)
    os.kill(pid, getattr(signal, environ["QUERY_STRING"]))
    start_response("200 OK", [])
    return [str(os.WTERMSIG(os.waitpid(pid, 0)[1])).encode()]
""")
        for name in ("SIGTERM", "SIGINT", "SIGQUIT"):
            self.assertEqual(self.master.get(worker, "/?" + name)[4], b"%d" % getattr(signal, name))


@unittest.skipUnless(os.geteuid() == 0, "needs to be root")
class User(MasterTest):
    def test_privileges_are_dropped(self):
        os.chmod(self.dir, 0o755)
        log = os.path.join(self.dir, "error.log")
        worker = self.master.up(
            """
import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [repr((os.getresuid(), os.getresgid(), os.getgroups())).encode()]
""",
            "def post_fork(s, w):\n    import os; w.log.info('post_fork %s', os.getuid())",
            user=65534,
            group=65534,
            initgroups=True,
            errorlog=log,
        )
        got = eval(self.master.get(worker)[4])
        self.assertEqual(got, ((65534,) * 3, (65534,) * 3, [65534]))
        with open(log) as f:
            self.assertIn("post_fork 0", f.read())
        # It may not open the log again: it goes on with the one it has.
        os.rename(log, log + ".1")
        os.kill(worker.pid, signal.SIGUSR1)
        self.assertEqual(self.master.get(worker)[0], REPLY_RESPONSE)
        with open(log + ".1") as f:
            self.assertIn("[WARNING] cannot open the log %s again" % log, f.read())
        worker.scoreboard[SCOREBOARD_PROMOTED] = 1
        os.kill(worker.pid, signal.SIGWINCH)
        self.assertEqual(self.master.get(worker)[0], REPLY_RESPONSE)


class Boot(MasterTest):
    def boot(self, app, source="", config=None):
        self.master.write("app.py", source)
        self.master.configure(config)
        self.master.prepare(app, loglevel="debug")
        worker = self.master.spawn(ready=False)
        event = self.master.exited(worker)
        log = self.master.read_log()
        self.assertIn("[INFO] Worker exiting (pid: %d)" % worker.pid, log)
        return event["code"], log

    def test_no_module(self):
        code, log = self.boot("nix:app")
        self.assertEqual(code, 3)
        self.assertIn(
            "[ERROR] Exception in worker process\nTraceback (most recent call last):\n"
            "ModuleNotFoundError: No module named 'nix'\n",
            log,
        )
        self.assertEqual(log.count("No module named 'nix'"), 1)
        self.assertIn("\nHint: 'nix' is neither in ", log)

    def test_no_attribute(self):
        code, log = self.boot("app:nix")
        self.assertEqual(code, 4)
        self.assertIn("[DEBUG] Exception while loading the application\n", log)
        self.assertIn("\nFailed to find attribute 'nix' in 'app'.\n", log)

    def test_exception(self):
        code, log = self.boot("app", "def application(): pass\n1 / 0")
        self.assertEqual(code, 3)
        self.assertIn('app.py", line 2, in <module>', log)
        self.assertNotIn("<indrik>", log)

    def test_exit(self):
        self.assertEqual(self.boot("app", "import sys; sys.exit(9)")[0], 9)

    def test_interrupt(self):
        code, log = self.boot("app", "raise KeyboardInterrupt")
        self.assertEqual(code, 130)
        self.assertIn("KeyboardInterrupt", log)

    def test_hook(self):
        code, log = self.boot("app", "def application(): pass", "def post_fork(s, w): 1 / 0")
        self.assertEqual(code, 3)
        self.assertIn("Exception in worker process", log)


class Requests(WorkerTest):
    def test_claim(self):
        worker = self.up()
        self.assertEqual(worker.claimed(), 0)
        id = self.master.get(worker, id=77)[1]
        self.assertEqual((id, worker.claimed()), (77, 77))

    def test_revoked(self):
        worker = self.up()
        self.master.get(worker)
        generation = self.master.generations[1]
        generation.revoke(1001)
        generation.revoke(1002)
        self.assertEqual(self.master.get(worker, id=1001), (REPLY_REFUSED, 1001))
        # Also one that was on the list already when the slot looked there last.
        self.assertEqual(self.master.get(worker, id=1002), (REPLY_REFUSED, 1002))
        self.assertEqual(self.master.get(worker, id=1003)[0], REPLY_RESPONSE)
        generation.revoke(1004)
        self.assertEqual(self.master.get(worker, id=1004), (REPLY_REFUSED, 1004))
        for n in range(2000, 2070):  # more than the list holds
            generation.revoke(n)
        self.assertEqual(self.master.get(worker, id=1005), (REPLY_REFUSED, 1005))
        self.assertEqual(self.master.get(worker, id=1006)[0], REPLY_RESPONSE)

    def test_app_that_exits(self):
        worker = self.up()
        self.assertEqual(self.master.get(worker, "/exit?x=1"), (REPLY_ERROR, 1))
        log = self.master.wait_log("SystemExit: 3")
        self.assertIn("[ERROR] Error handling request GET /exit?x=1\nTraceback", log)
        self.assertEqual(self.master.get(worker, "/interrupt")[0], REPLY_ERROR)
        self.assertEqual(self.master.get(worker)[0], REPLY_RESPONSE)

    def test_each_slot_answers_on_its_own_socket(self):
        worker = self.up(slots=12)
        id = self.master.request("/thread")
        while True:
            slots = [i for i in range(12) if worker.claimed(i) == id]
            if slots:
                break
        message = self.master.response(worker, slots[0])
        self.assertEqual(message[4], b"slot-%d" % slots[0])

    def test_max_requests(self):
        worker = self.up(max_requests=2)
        self.master.get(worker)
        self.assertFalse([e for e in self.master.events if e["type"] == "recycle"])
        self.master.get(worker)
        self.assertEqual(self.master.expect("recycle")["age"], worker.age)
        self.assertEqual(self.master.get(worker)[0], REPLY_RESPONSE)
        self.master.terminate(worker)
        self.assertEqual(self.master.read_log().count("Autorestarting worker after current request."), 1)
        self.assertFalse([e for e in self.master.events if e["type"] == "recycle"])

    def test_end_of_master_and_front(self):
        for slots in (1, 3):
            worker = self.up() if slots == 1 else self.master.spawn(slots=slots)
            id, gate = self.busy(worker)
            self.master.generations[1].queue.close()
            gate.close()
            if slots == 1:
                self.assertEqual(self.master.response(worker)[:2], (REPLY_RESPONSE, id))
            self.assertEqual(self.master.exited(worker)["code"], 0)
            self.assertIn("Parent changed, shutting down: <Worker %d>" % worker.pid, self.master.read_log())
            self.master.prepare("worker_control:app", raw_env=["GATE=" + os.path.join(self.dir, "gate")])

    def test_end_of_the_front(self):
        worker = self.up()
        worker.slots[0].close()
        self.master.request("/")
        self.assertEqual(self.master.exited(worker)["code"], 0)
        self.assertIn("Parent changed", self.master.read_log())
        worker.slots.pop()

    def test_default_timeout_of_the_app(self):
        worker = self.master.up(
            "import socket; socket.setdefaulttimeout(0.001)\nfrom worker_control import app\n", preload_app=True
        )
        worker = self.master.spawn()
        self.assertTrue(self.master.generations[1].workers_end.getblocking())
        self.assertIsNotNone(worker)

    def test_queue_made_non_blocking(self):
        worker = self.up()
        self.master.generations[1].workers_end.setblocking(False)
        for _ in range(3):
            self.assertEqual(self.master.get(worker)[0], REPLY_RESPONSE)
        self.assertEqual(self.master.terminate(worker)["code"], 0)
        self.assertEqual(self.master.terminate(self.master.spawn(slots=2))["code"], 0)


class RequestHooks(MasterTest):
    def test_both(self):
        worker = self.master.up(
            """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/error":
        raise ValueError("no")
    start_response("201 Created", [("Content-Length", "5")])
    return iter([environ.get("HTTP_X_ADDED", "-").encode() + b"1234"])
""",
            textwrap.dedent("""
            def pre_request(worker, req):
                worker.log.info("pre %s %s %s %s %s", req.method, req.path, req.query, req.uri, req.version)
                if req.query == "add":
                    req.headers.append(("X-ADDED", "+"))
                if req.query == "raise":
                    raise ValueError("pre")
            def post_request(worker, req, environ, resp):
                worker.log.info("post %s %s %s %s", worker.nr, resp.status, resp.sent, resp.headers)
                if req.query == "replace":
                    worker.alive = False
                if req.query == "fail":
                    1 / 0
            """),
        )
        self.assertEqual(self.master.get(worker, "/p?q")[4], b"-1234")
        log = self.master.wait_log("post 1")
        self.assertIn("pre GET /p q /p?q (1, 1)", log)
        self.assertIn("post 1 201 Created 5 [('Content-Length', '5')]", log)
        self.assertEqual(self.master.get(worker, "/?add")[4], b"+1234")
        self.assertEqual(self.master.get(worker, "/error")[0], REPLY_ERROR)
        self.master.wait_log("post 3 500 Internal Server Error 0 []")
        self.assertEqual(self.master.get(worker, "/?raise")[0], REPLY_ERROR)
        self.master.get(worker, "/?fail")
        self.master.wait_log("[ERROR] Exception in post_request hook\nTraceback")
        self.master.get(worker, "/?replace")
        self.master.expect("recycle")
        self.assertEqual(self.master.get(worker)[0], REPLY_RESPONSE)

    def test_what_pre_request_changes(self):
        worker = self.master.up(
            """
def app(environ, start_response):
    start_response("200 OK", [])
    return ["|".join(environ[k] for k in (
        "REQUEST_METHOD", "RAW_URI", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "wsgi.url_scheme")).encode("latin-1")]
""",
            textwrap.dedent("""
            def pre_request(worker, req):
                if req.path == "/old":
                    req.method, req.path, req.query, req.scheme = "PUT", "/new%C3%A9", "r=2", "https"
            """),
        )
        self.assertEqual(self.master.get(worker, "/old?q")[4], "PUT|/old?q||/newé|r=2|https".encode())
        self.assertEqual(self.master.get(worker, "/as/is?q")[4], b"GET|/as/is?q||/as/is|q|http")

    def test_debug_level_logs_requests(self):
        worker = self.master.serve("worker_control:app", loglevel="debug")
        self.master.get(worker, "/some/path?q=1")
        self.master.wait_log("[DEBUG] GET /some/path\n")


class Streams(MasterTest):
    def test_parts_go_out_at_once(self):
        gate = os.path.join(self.dir, "gate")
        os.mkfifo(gate)
        worker = self.master.up(
            """
import os
def app(environ, start_response):
    start_response("200 OK", [("X", "y")])
    yield b""
    yield b"first"
    with open(os.environ["GATE"]) as f:
        f.read()
    yield b"second"
""",
            raw_env=["GATE=" + gate],
        )
        self.assertEqual(self.master.get(worker), (REPLY_START, 1, "200 OK", [("X", "y")], b"first"))
        with open(gate, "w"):
            pass
        self.assertEqual(self.master.response(worker), (REPLY_CHUNK, 1, b"second"))
        self.assertEqual(self.master.response(worker), (REPLY_END, 1))
