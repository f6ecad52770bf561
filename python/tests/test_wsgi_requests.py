"""The environ and the body that an app of WSGI is given."""

import hashlib
import marshal
import os
import platform

from indrik import bodyarena
from indrik.protocol import ARENA_BLOCK, REPLY_ERROR

from .support import BodyArena, memory
from .support.wsgi import WSGITest


class Environ(WSGITest):
    APP = "wsgi_requests:app"

    def test_constants(self):
        got = eval(self.all("/echo_environ")[0][3])
        wanted = self.master.environ("/echo_environ")
        wanted.update(
            {
                "wsgi.version": (1, 0),
                "wsgi.multithread": False,
                "wsgi.multiprocess": False,
                "wsgi.run_once": False,
                "wsgi.input_terminated": True,
                "SERVER_SOFTWARE": "indrik/1.2.3",
            }
        )
        self.assertEqual(got, wanted)

    def test_threads_and_processes(self):
        self.master.terminate(self.worker)
        self.master.prepare(self.APP, workers=2)
        worker = self.master.spawn(slots=2)
        id = self.master.request("/echo_environ")
        while id not in (worker.claimed(0), worker.claimed(1)):
            os.sched_yield()
        got = eval(self.master.response(worker, [worker.claimed(0), worker.claimed(1)].index(id))[4])
        self.assertEqual((got["wsgi.multithread"], got["wsgi.multiprocess"]), (True, True))

    def test_errors(self):
        self.all("/errors")
        self.assertIn("to errors \u20ac\nab\n", self.master.read_log())


class Input(WSGITest):
    APP = "wsgi_requests:app"

    BODY = b"12345\nabcdef\nline\nrest\nend"

    WANTED = [b"12", b"345\n", b"abc", b"def\n", [b"line\n", b"rest\n", b"end"], b"", b""]

    def test_in_the_message(self):
        self.assertEqual(eval(self.all("/body", body=self.BODY, method="POST")[0][3]), self.WANTED)

    def test_in_a_file(self):
        fd = memory(0, self.BODY)
        os.lseek(fd, 5, os.SEEK_SET)  # left there by whoever wrote it
        environ = self.master.environ("/body", "POST")
        self.master.generations[1].put(5, environ, None, [fd])
        self.assertEqual(eval(self.master.response(self.worker)[4]), self.WANTED)
        os.close(fd)

    def test_in_the_body_arena(self):
        size = 2 * ARENA_BLOCK + 1000
        body = bytes(range(256)) * (size // 256) + b"the end of it..."
        for made in BodyArena(8), BodyArena(8):  # of one front, and of the next
            for blocks in (1, 2, 3), (7, 0, 5):
                item = made.put(9, body, blocks)
                self.master.generations[1].put(9, self.master.environ("/digest", "POST"), item, [made.fd])
                self.assertEqual(self.master.response(self.worker)[4], hashlib.sha256(body).hexdigest().encode())
            made.close()
        self.all("/one")  # the one before is done with
        before = len(os.listdir("/proc/%d/fd" % self.worker.pid))
        made = BodyArena(1)
        # Its memory is of another request by now.
        item = made.put(10, b"x", [0])
        self.master.generations[1].put(9, self.master.environ("/digest", "POST"), item, [made.fd])
        self.assertEqual(self.all("/one")[0][3], b"one")
        if platform.python_implementation() == "CPython":  # others close what was forgotten when they like
            self.assertEqual(len(os.listdir("/proc/%d/fd" % self.worker.pid)), before)
        # The head of this one is in a file.
        head = memory(0, marshal.dumps((self.master.environ("/digest", "POST"), item), 2))
        self.master.generations[1].put(10, None, None, [head, made.fd])
        self.assertEqual(self.master.response(self.worker)[4], hashlib.sha256(b"x").hexdigest().encode())
        made.close()
        os.close(head)

    def test_blocks_of_the_body_arena(self):
        body = bytes(range(251)) * 2000
        made = BodyArena(6)
        for blocks in ([2, 3, 4, 5], [3, 1, 0, 2], [0, 1, 4, 3]):
            item = made.put(9, body, blocks)
            self.assertEqual(bodyarena.read(os.dup(made.fd), 9, item), body)
            self.assertIsNone(bodyarena.read(os.dup(made.fd), 10, item))
        made.close()

    def test_environ_in_a_file(self):
        environ = self.master.environ("/body", "POST", HTTP_LONG="x" * 200000)
        head = memory(0, marshal.dumps((environ, self.BODY), 2))
        self.master.generations[1].put(5, None, None, [head])
        self.assertEqual(eval(self.master.response(self.worker)[4]), self.WANTED)
        os.close(head)

    def test_both_in_files(self):
        environ = self.master.environ("/size", "POST")
        head, body = memory(0, marshal.dumps((environ, None), 2)), memory(300000)
        self.all("/one")
        before = len(os.listdir("/proc/%d/fd" % self.worker.pid))
        for _ in range(3):
            self.master.generations[1].put(5, None, None, [head, body])
            self.assertEqual(self.master.response(self.worker)[4], b"300000")
        self.all("/one")
        self.assertEqual(len(os.listdir("/proc/%d/fd" % self.worker.pid)), before)
        os.close(head)
        os.close(body)

    def test_no_room_for_descriptors(self):
        item = (200000, 0, 1)
        for environ, body, text in [
            (self.master.environ("/size", "POST"), None, "Error handling request POST /size"),
            (self.master.environ("/size", "POST"), item, "Error handling request POST /size"),
            (None, None, "Error handling request (no URI read)"),
        ]:
            with self.subTest(body=body, text=text):
                self.master.generations[1].put(5, environ, body)
                self.assertEqual(self.master.response(self.worker), (REPLY_ERROR, 5))
                self.assertIn(text, self.master.wait_log("Too many open files"))
        self.assertEqual(self.all("/one")[0][3], b"one")
