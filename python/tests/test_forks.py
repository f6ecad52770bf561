"""What an app forks from a worker is no worker."""

import importlib.util
import marshal
import os
import select
import signal
import socket
import unittest

from indrik.protocol import (
    REPLY_RESPONSE,
    SCOREBOARD_FRONT,
)

from .support import LIMIT, MasterTest, receive, send, strict_all

HOOKS = """
import os
def say(*args):
    print(*args, os.getpid(), flush=True)
def worker_exit(server, worker):
    say("worker_exit in")
def post_request(worker, req, environ, resp):
    say("post_request in")
"""


class Forks:
    """What holds for workers of every kind."""

    def ask(self, how):
        raise NotImplementedError

    def expect(self, how, said):
        got = self.ask(how)
        self.assertEqual((got[0], got[-1]), (REPLY_RESPONSE, said), how + self.master.read_log())

    def check(self, worker, *hows):
        self.expect("return", b"0")
        self.expect("raise", b"1")
        self.expect("exit", b"7")
        self.expect("message", b"1")
        self.expect("again", b"21")
        self.expect("term", b"-15")
        self.expect("signals", b"([], -1)")
        self.expect("process", b"(42, 0)")
        self.expect("subprocess", b"b'hello\\n'")
        for how in hows:
            self.expect(how, b"0")
        event = self.master.terminate(worker)
        self.assertEqual((event["code"], event["signal"]), (0, 0))
        log = self.master.read_log()
        for how in ("return", "raise", "exit", "message", *hows):
            self.assertEqual(log.count("\nchild %s True\n" % how), 1, log)
            self.assertEqual(log.count("before %s\n" % how), 1, log)
        self.assertIn("\nsaid in a process\n", log)
        self.assertIn("\na last word\n", log)
        self.assertIn("ValueError: raised in the child\n", log)
        self.assertEqual(log.count("atexit in"), 1, log)
        self.assertEqual(log.count("Worker exiting"), 1, log)
        self.assertNotIn("unraisable", log)
        self.assertNotIn("Exception ignored", log)


class Sync(Forks, MasterTest):
    def ask(self, how):
        return self.master.get(self.worker, "/?" + how)

    def test_children(self):
        self.worker = self.master.serve("forking_wsgi:app")
        self.check(self.worker, "write", "generator", "large", "asks", "closing")
        self.assertNotIn("closed in", self.master.read_log())

    def test_hooks(self):
        self.worker = self.master.serve("forking_wsgi:app", HOOKS)
        for how in ("return", "generator", "large", "write"):
            self.expect(how, b"0")
        self.expect("raise", b"1")
        self.master.terminate(self.worker)
        log = self.master.read_log()
        self.assertEqual(log.count("worker_exit in %d\n" % self.worker.pid), 1, log)
        self.assertEqual((log.count("worker_exit in"), log.count("post_request in")), (1, 5), log)

    def test_several_requests_in_a_message(self):
        self.worker = self.master.serve("forking_wsgi:app")
        ids = self.master.request_all("/?return", "/?exit", "/?large", "/?generator")
        answers = []
        while len(answers) < 4:
            data, _ = receive(self.worker.slots[0])
            answers.extend((message[1], message[-1]) for message in strict_all(data))
        self.assertEqual(answers, list(zip(ids, (b"0", b"7", b"0", b"0"))))
        self.expect("return", b"0")

    def test_nothing_of_the_server_is_open(self):
        worker = self.master.up("""
import os
def app(environ, start_response):
    read, write = os.pipe()
    if os.fork() == 0:
        names = []
        for fd in os.listdir("/proc/self/fd"):
            try:
                names.append(os.readlink("/proc/self/fd/" + fd))
            except OSError:
                pass
        os.write(write, repr({n for n in names if "socket" in n}).encode())
        os._exit(0)
    os.wait()
    start_response("200 OK", [])
    return [os.read(read, 10000)]
""")
        # One socket whose other end nobody has.
        self.assertEqual(len(eval(self.master.get(worker)[-1])), 1)

    def test_child_that_stays(self):
        """It does not hold up the end of the worker, and takes no request."""
        worker = self.master.up("""
import os, time
def app(environ, start_response):
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
    start_response("200 OK", [])
    return [str(pid).encode()]
""")
        pids = [int(self.master.get(worker)[-1]) for _ in range(3)]
        try:
            self.assertEqual(self.master.terminate(worker)["code"], 0)
            self.assertEqual(receive(worker.slots[0])[0], b"")  # nobody holds the other end
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

    def test_at_import(self):
        self.master.write(
            "app.py",
            "from forking import run\nend = run('exit')\nother = run('return')\n"
            "def app(environ, start_response):\n    start_response('200 OK', [])\n"
            "    return [(end + other).encode()]\n",
        )
        self.master.configure()
        self.master.prepare("app:app")
        worker = self.master.spawn()
        self.assertEqual(self.master.get(worker)[-1], b"70")
        self.assertEqual([e for e in self.master.events if e["type"] == "ready"], [])
        self.assertEqual(self.master.terminate(worker)["code"], 0)
        self.assertEqual(self.master.read_log().count("Worker exiting"), 1)

    def test_in_hooks_of_workers(self):
        parameters = {
            "post_fork": "s, w",
            "post_worker_init": "w",
            "pre_request": "w, r",
            "post_request": "w, r",
            "worker_exit": "s, w",
        }
        worker = self.master.serve(
            "forking_wsgi:app",
            "import os\n"
            + "".join(
                "def %s(%s):\n    if os.fork() == 0: return\n    print('%s', os.wait()[1], flush=True)\n"
                % (name, of, name)
                for name, of in parameters.items()
            ),
        )
        self.assertEqual(self.master.get(worker, "/?return")[0], REPLY_RESPONSE)
        self.master.terminate(worker)
        log = self.master.read_log()
        for name in parameters:
            self.assertEqual(log.count(name + " 0\n"), 1, log)

    def test_in_hooks_of_the_spawner(self):
        self.master.write(
            "app.py",
            "from forking_wsgi import app, run\nend = run('exit')\nother = run('return')\n"
            "if other: print('imported', end, other)\n",
        )
        answer = self.master.configure(
            "import os\nif os.fork() == 0: raise SystemExit(5)\nprint('at first', os.wait()[1] >> 8)\n"
            + "".join(
                "def %s(%s):\n    if os.fork() == 0: return\n    print('%s', os.wait()[1], flush=True)\n"
                % (name, of, name)
                for name, of in (("on_starting", "s"), ("pre_fork", "s, w"), ("child_exit", "s, w"))
            )
        )
        self.assertEqual(answer["type"], "ok")
        self.assertEqual(self.master.prepare("app:app", preload_app=True)["type"], "ok")
        self.assertEqual(self.master.call("hook", generation=1, hook="on_starting", args=[])["type"], "ok")
        worker = self.master.spawn()
        self.assertEqual(self.master.get(worker, "/?return")[-1], b"0")
        self.master.terminate(worker)
        log = self.master.read_log()
        for text in ("at first 5", "imported 7 0", "on_starting 0", "pre_fork 0", "child_exit 0"):
            self.assertEqual(log.count(text + "\n"), 1, log)
        # How the spawner is doing it says itself, and nobody else.
        self.assertEqual([e for e in self.master.events if e["type"] not in ("busy", "idle")], [])

    def test_in_an_executor(self):
        """The calls that wait in its queue are made once, and the one that forked says how it
        ended, also where nobody asked to be told of its end."""
        self.worker = self.master.up(
            """
from concurrent.futures import ThreadPoolExecutor
from forking import run
pool = ThreadPoolExecutor(1)
def app(environ, start_response):
    calls = [pool.submit(run, environ["QUERY_STRING"]), pool.submit(print, "a call")]
    start_response("200 OK", [])
    return [call.result().encode() for call in calls[:1]]
"""
        )
        self.expect("return", b"0")
        self.expect("exit", b"7")
        self.assertEqual(self.master.terminate(self.worker)["code"], 0)
        self.assertEqual(self.master.read_log().count("a call\n"), 2)


class Threads(Forks, MasterTest):
    def ask(self, how):
        id = self.master.request("/?" + how)
        ready, _, _ = select.select(self.worker.slots, [], [], LIMIT)
        message = self.master.response(self.worker, self.worker.slots.index(ready[0]))
        self.assertEqual(message[1], id)
        return message

    def test_children(self):
        self.worker = self.master.serve("forking_wsgi:app", slots=3)
        self.check(self.worker, "write", "generator", "large", "asks")


class Multiplexed(Forks, MasterTest):
    """Workers that get their requests by their first slot."""

    def up(self, app, config=None, **settings):
        self.worker = self.master.serve(app, config, **settings)
        self.worker.scoreboard[SCOREBOARD_FRONT] = 1
        self.addCleanup(self.worker.slots[0].shutdown, socket.SHUT_RDWR)

    def tell(self, request, body=b""):
        self.master.last_id += 1
        send(self.worker.slots[0], marshal.dumps([(0, self.master.last_id, request, body)], 2))
        return self.master.last_id

    def answer(self, id):
        message = self.master.response(self.worker)
        self.assertEqual(message[1], id, message)
        return message

    def scope(self, how):
        rest = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "headers": [(b"host", b"x")],
            "server": ("127.0.0.1", 8000),
            "extensions": {},
        }
        return marshal.dumps(rest, 2), "GET", "/", b"/", how.encode(), ("127.0.0.1", 50000)


class ASGI(Multiplexed):
    def ask(self, how):
        return self.answer(self.tell(self.scope(how)))

    loop = "asyncio"

    def test_children(self):
        self.up("forking_asgi:app", asgi_loop=self.loop)
        self.check(self.worker, "large", "later")

    def test_returns(self):
        self.up("forking_asgi:app", asgi_loop=self.loop)
        self.expect("silent", b"0")
        self.expect("thread-return", b"0")
        self.expect("thread-exit", b"7")
        self.expect("awaits", b"1")
        self.expect("return", b"0")
        self.assertEqual(self.master.terminate(self.worker)["code"], 0)
        log = self.master.read_log()
        self.assertNotIn("went on", log)
        self.assertEqual(log.count("shutdown in %d\n" % self.worker.pid), 1)
        self.assertEqual(log.count("shutdown in"), 1)


@unittest.skipUnless(importlib.util.find_spec("uvloop"), "needs uvloop")
class Uvloop(ASGI):
    loop = "uvloop"


@unittest.skipUnless(importlib.util.find_spec("tornado"), "needs Tornado")
class Tornado(Multiplexed):
    def ask(self, how):
        return self.answer(self.tell(self.scope(how)))

    def test_children(self):
        self.up("forking_tornado:app", worker_class="tornado")
        self.check(self.worker)


@unittest.skipUnless(importlib.util.find_spec("gevent"), "needs gevent")
class Gevent(Multiplexed):
    def ask(self, how):
        return self.answer(self.tell(self.master.environ("/?" + how)))

    def test_children(self):
        self.up("forking_wsgi:app", worker_class="gevent")
        self.check(self.worker, "write", "generator", "large", "asks")
