"""Workers of kind gevent. They need gevent in the interpreter that runs these
tests: otherwise these are skipped."""

import importlib.util
import marshal
import os
import signal
import socket
import time
import unittest

from indrik.protocol import (
    EVENT_BUFFER_FREE,
    EVENT_CREDIT,
    EVENT_GONE,
    EVENT_LATE,
    EVENT_PING,
    EVENT_REQUEST,
    EVENT_RESET,
    REPLY_CHUNK,
    REPLY_END,
    REPLY_ERROR,
    REPLY_EXTEND,
    REPLY_FILE,
    REPLY_LEAVE,
    REPLY_REFUSED,
    REPLY_RESPONSE,
    REPLY_START,
    SCOREBOARD_BUFFER,
    SCOREBOARD_FRONT,
    SCOREBOARD_LAG,
    SCOREBOARD_MOST_LAG,
    SCOREBOARD_PING,
)

from .support import BodyArena, MasterTest, memory, receive, send


@unittest.skipUnless(importlib.util.find_spec("gevent"), "needs gevent")
class Gevent(MasterTest):
    def start(self, front=0, **settings):
        self.worker = self.master.serve("gevent_paths:app", worker_class="gevent", **settings)
        self.addCleanup(self.hang_up, self.worker)
        self.front = front
        self.worker.scoreboard[SCOREBOARD_FRONT] = 1 + front
        self.tell(EVENT_RESET, front)
        self.id = 0

    def hang_up(self, worker):
        """Does what the end of the front and of the master does to a worker."""
        try:
            worker.slots[0].shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was done, or the worker has ended

    def tell(self, kind, id, a=None, b=None, fds=()):
        send(self.worker.slots[0], marshal.dumps([(kind, id, a, b)], 2), fds)

    def begin(self, path, body=b"", method="GET"):
        self.id += 1
        id = self.front << 24 | self.id
        self.tell(EVENT_REQUEST, id, self.master.environ(path, method, body), body)
        return id

    def hear(self):
        message = self.master.response(self.worker)
        self.tell(EVENT_BUFFER_FREE, message[1])
        return message

    def test_many_at_once(self):
        self.start()
        waiting = [self.begin("/wait") for _ in range(50)]
        self.master.wait_log("waits", 50)
        self.assertEqual(self.worker.claimed(), waiting[-1])
        last = self.begin("/go")
        answered = [self.hear() for _ in range(51)]
        self.assertEqual(sorted(m[1] for m in answered), [*waiting, last])
        self.assertEqual({m[0] for m in answered}, {REPLY_RESPONSE})

    def test_patched_before_the_app(self):
        for preload in (False, True):
            with self.subTest(preload=preload):
                self.start(preload_app=preload)
                self.begin("/patched")
                self.assertEqual(eval(self.hear()[4]), ("gevent.hub", "gevent.thread", True))
                self.assertNotIn("MonkeyPatchWarning", self.master.read_log())
                self.begin("/sub")
                self.assertEqual(self.hear()[4], b"child\n")
                self.master.terminate(self.worker)

    def test_hooks_of_the_spawner_may_wait(self):
        config = (
            "import subprocess, time\n"
            "def pre_fork(s, w): time.sleep(0.01); s.log.info('hook %s', subprocess.check_output(['echo', 'x']))\n"
            "def child_exit(s, w): time.sleep(0.01); s.log.info('hook child_exit')\n"
        )
        for preload in (False, True):
            with self.subTest(preload=preload):
                self.start(config=config, preload_app=preload)
                self.begin("/sub")
                self.assertEqual(self.hear()[4], b"child\n")
                second = self.master.spawn()
                self.addCleanup(self.hang_up, second)
                self.assertEqual(self.master.terminate(second)["code"], 0)
                self.assertEqual(self.master.terminate(self.worker)["code"], 0)
                log = self.master.read_log()
                self.assertIn("hook b'x\\n'", log)
                self.assertIn("hook child_exit", log)

    def test_bodies_in_files(self):
        self.start()
        environ = self.master.environ("/", "POST", HTTP_LONG="x" * 200000)
        head, body = memory(0, marshal.dumps((environ, None), 2)), memory(0, b"y" * 70000)
        self.begin("/")
        self.hear()
        before = len(os.listdir("/proc/%d/fd" % self.worker.pid))
        for _ in range(3):
            self.id += 1
            self.tell(EVENT_REQUEST, self.id, None, None, [head, body])
            self.assertEqual(self.hear()[4], b"y" * 70000)
        self.begin("/")
        self.hear()
        self.assertEqual(len(os.listdir("/proc/%d/fd" % self.worker.pid)), before)
        self.begin("/file")
        message = self.hear()
        self.assertEqual(message[0], REPLY_FILE)
        for fd in (head, body, message[6]):
            os.close(fd)

    def test_no_room_for_descriptors(self):
        self.start()
        for environ, body in (self.master.environ("/", "POST"), None), (None, None):
            self.id += 1
            self.tell(EVENT_REQUEST, self.id, environ, body)
            self.assertEqual(self.hear(), (REPLY_ERROR, self.id))
            self.master.wait_log("Too many open files", self.id)

    def test_body_in_the_body_arena(self):
        self.start()
        arena = BodyArena(3)
        id = self.front << 24 | 1
        body = bytes(range(250)) * 600
        self.tell(EVENT_REQUEST, id, self.master.environ("/", "POST"), arena.put(id, body, [2, 0]), [arena.fd])
        self.assertEqual(self.hear(), (REPLY_RESPONSE, id, "200 OK", [("Content-Length", "150000")], body))
        # By now its memory is of another one.
        self.tell(EVENT_REQUEST, id + 1, self.master.environ("/", "POST"), (len(body), 2, 0), [arena.fd])
        self.id = 2
        self.assertEqual(self.hear_of(self.begin("/")), REPLY_RESPONSE)
        arena.close()

    def test_one_response_buffer_for_all(self):
        self.start()
        bodies = [bytes([i]) * 100000 for i in range(3)]
        for body in bodies:
            self.begin("/", body, "POST")
        self.master.wait_log("read", 3)  # all are there, and two wait for the response buffer
        self.assertEqual(sorted(self.hear()[-1] for _ in bodies), bodies)
        # A front that comes after another finds nothing in the response buffer.
        id = self.begin("/", bodies[0], "POST")
        receive(self.worker.slots[0])
        self.assertEqual(self.worker.scoreboard[self.worker.word(0, SCOREBOARD_BUFFER)], id)
        self.begin("/", bodies[1], "POST")
        self.master.wait_log("read", 5)
        self.worker.scoreboard[self.worker.word(0, SCOREBOARD_BUFFER)] = 0
        self.worker.scoreboard[SCOREBOARD_FRONT] = 1 + self.front + 1
        self.front += 1
        self.tell(EVENT_RESET, self.front)
        self.assertEqual(self.hear()[-1], bodies[1])

    def test_response_buffer_of_one_that_was_ended(self):
        self.start()
        self.begin("/large")  # nobody reads it: nothing else can be sent
        first, second = (self.begin("/", bytes(100000), "POST") for _ in range(2))
        self.master.wait_log("read", 2)
        self.assertEqual(self.worker.scoreboard[self.worker.word(0, SCOREBOARD_BUFFER)], first)
        self.tell(EVENT_LATE, first)
        self.master.wait_log("WORKER TIMEOUT")
        while True:
            message = self.master.response(self.worker)
            if message[0] == REPLY_RESPONSE:
                break
        self.assertEqual(message[1], second)

    def test_room(self):
        self.start()
        id = self.begin("/large")
        got = 0
        while got < 300000:  # 256 KiB, and a part that goes beyond
            got += len(self.hear()[-1])
        other = self.begin("/", b"others go on", "POST")
        self.assertEqual(self.hear()[1], other)
        self.tell(EVENT_CREDIT, id, 1 << 30)
        while True:
            message = self.hear()
            if message[0] == REPLY_END:
                break
            got += len(message[-1])
        self.assertEqual(got, 1000000)

    def test_write_that_is_given_up(self):
        self.start()
        self.begin("/bounded")
        self.master.wait_log("given up")
        kinds = [self.hear()[0], self.hear()[0]]
        self.assertEqual(kinds, [REPLY_START, REPLY_ERROR])  # the rest of what was begun cannot be missing
        self.assertIn("write() after the end of the response", self.master.wait_log("Error handling request"))
        self.begin("/", b"x" * 100000, "POST")
        self.assertEqual(self.hear()[0], REPLY_RESPONSE)

    def test_client_that_leaves(self):
        self.start()
        id = self.begin("/gone")
        self.master.wait_log("begun")
        self.tell(EVENT_GONE, id)
        self.master.wait_log("seen")
        self.hear()
        id = self.begin("/large")
        while self.hear()[0] != REPLY_CHUNK:
            pass
        self.tell(EVENT_GONE, id)
        while self.hear()[0] != REPLY_END:
            pass
        self.assertNotIn("Traceback", self.master.read_log())

    def test_deadline(self):
        self.start(timeout=20)
        id = self.begin("/deadline")
        self.assertEqual(self.hear(), (REPLY_EXTEND, id, 100001))
        first, second, third = eval(self.hear()[4])
        # From a moment just before.
        self.assertTrue(0 < first <= 20 and 99 < second < 115 and second == third, (first, second, third))
        self.tell(EVENT_RESET, self.front)
        self.master.terminate(self.worker)
        self.start(timeout=0)
        self.begin("/deadline")
        self.assertEqual(eval(self.hear()[4]), [None, None, None])

    def test_late(self):
        self.start()
        late, other = self.begin("/wait"), self.begin("/wait")
        self.master.wait_log("waits", 2)
        self.tell(EVENT_LATE, late)
        self.master.wait_log("waited")
        log = self.master.wait_log("WORKER TIMEOUT (pid:%d): GET /wait after " % self.worker.pid)
        self.assertIn("[CRITICAL]", log)
        self.assertIn("go.wait()", log)
        self.assertNotIn("Error handling", log)
        self.begin("/go")
        self.assertEqual({self.hear()[1], self.hear()[1]}, {other, self.id})
        stubborn = self.begin("/stubborn")
        self.assertEqual(self.hear()[1], stubborn)  # the way is free
        self.assertEqual(self.master.terminate(self.worker)["code"], 0)

    def test_a_late_one_that_goes_on_does_not_hold_the_end(self):
        self.start()
        stubborn = self.begin("/stubborn")
        self.master.wait_log("waits")
        self.tell(EVENT_LATE, stubborn)
        self.master.wait_log("swallowed")
        self.assertEqual(self.master.terminate(self.worker)["code"], 0)

    def test_graceful_end(self):
        self.start()
        id = self.begin("/wait")
        self.master.wait_log("waits")
        os.kill(self.worker.pid, signal.SIGTERM)
        # From here on it begins nothing.
        while True:
            new = self.begin("/")
            message = self.hear()
            self.assertEqual(message[1], new)
            if message[0] == REPLY_LEAVE:
                break
        self.assertNotIn("Worker exiting", self.master.read_log())
        self.tell(EVENT_GONE, id)
        self.tell(EVENT_LATE, id)
        self.assertEqual(self.master.exited(self.worker)["code"], 0)
        self.master.wait_log("Worker exiting (pid: %d)" % self.worker.pid)

    def test_quick_ends(self):
        config = (
            "import time\n"
            "def worker_int(w): time.sleep(0.01); w.log.info('hook int')\n"
            "def worker_abort(w): time.sleep(0.01); w.log.info('hook abort')\n"
            "def worker_exit(s, w): w.log.info('hook exit')\n"
        )
        for sig, path, hook, code in [
            (signal.SIGQUIT, "/wait", "int", 0),
            (signal.SIGABRT, "/wait", "abort", 1),
            (signal.SIGQUIT, "/spin", "int", 0),
            (signal.SIGABRT, "/spin", "abort", 1),
        ]:
            with self.subTest(path=path, sig=sig):
                self.start(config=config)
                self.begin(path)
                self.master.wait_log("waits" if path == "/wait" else "spins")
                os.kill(self.worker.pid, sig)
                self.assertEqual(self.master.exited(self.worker)["code"], code)
                log = self.master.read_log()
                self.assertIn("hook " + hook, log)
                self.assertIn("hook exit", log)
                with open(self.master.log, "w"):
                    pass

    def test_ping(self):
        self.start()
        self.tell(EVENT_PING, 77, time.monotonic_ns() - 5000000)
        self.begin("/")
        self.hear()
        self.assertEqual(self.worker.scoreboard[SCOREBOARD_PING], 77)
        self.assertGreaterEqual(self.worker.scoreboard[SCOREBOARD_LAG], 5000)
        self.assertEqual(self.worker.scoreboard[SCOREBOARD_MOST_LAG], self.worker.scoreboard[SCOREBOARD_LAG])
        self.tell(EVENT_PING, 78, time.monotonic_ns())
        self.begin("/")
        self.hear()
        self.assertEqual(self.worker.scoreboard[SCOREBOARD_PING], 78)
        self.assertGreaterEqual(self.worker.scoreboard[SCOREBOARD_MOST_LAG], 5000)

    def test_claims(self):
        self.start()
        self.begin("/")
        self.hear()
        self.master.generations[1].revoke(2)
        self.assertEqual(self.hear_of(self.begin("/")), REPLY_REFUSED)
        self.assertEqual(self.hear_of(self.begin("/")), REPLY_RESPONSE)

    def hear_of(self, id):
        message = self.hear()
        self.assertEqual(message[1], id)
        return message[0]

    def test_another_front(self):
        self.start(front=3)
        old = self.begin("/gone")
        self.master.wait_log("begun")
        # The next one takes over: what comes of the old one is passed over.
        self.worker.scoreboard[SCOREBOARD_FRONT] = 1 + 4
        stale = self.begin("/")
        self.front = 4
        self.tell(EVENT_RESET, 4)
        self.master.wait_log("seen")
        self.assertEqual(self.hear_of(old), REPLY_RESPONSE)
        self.assertEqual(self.hear_of(self.begin("/")), REPLY_RESPONSE)
        self.assertNotEqual(self.worker.claimed(), stale)

    def test_max_requests(self):
        self.start(max_requests=2)
        self.begin("/")
        self.hear()
        self.begin("/")
        self.hear()
        self.master.expect("recycle")
        self.master.wait_log("Autorestarting worker after current request.")
        self.begin("/")
        self.hear()

    def test_hooks(self):
        self.start(
            config="def pre_request(w, req): w.log.info('hook before %s', req.path)\n"
            "def post_request(w, req, environ, resp): w.log.info('hook after %s', resp.status)\n"
        )
        self.begin("/go")
        self.hear()
        self.master.wait_log("hook after 200 OK")
        self.assertIn("hook before /go", self.master.read_log())

    def test_the_front_is_gone(self):
        self.start()
        self.begin("/wait")
        self.master.wait_log("waits")
        self.hang_up(self.worker)
        self.assertEqual(self.master.exited(self.worker)["code"], 0)
        self.master.wait_log("Parent changed, shutting down: <Worker ")


class Missing(MasterTest):
    def test_too_old(self):
        self.master.write("gevent.py", "__version__ = '24.2.1'\n")
        self.master.configure()
        # The name of the directory of the app comes first on sys.path.
        answer = self.master.prepare("app:app", worker_class="gevent")
        self.assertEqual((answer["type"], answer["stage"]), ("failed", "config"))
        self.assertTrue(
            answer["error"].startswith(
                "\nError: class uri 'gevent' invalid or not found: "
                "gevent worker requires gevent 24.10.1 or higher, and 24.2.1 is"
            )
        )
