"""A worker that becomes a template, and forks other workers."""

import ctypes
import json
import os
import signal
import sys
import unittest

from .support import MasterTest
from .support.front import FakeWorker
from .support.messages import send

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)

APP = """
import os
CACHE = []
def app(environ, start_response):
    CACHE.append(os.getpid())
    body = ("%d %d %d" % (len(CACHE), CACHE[0], os.getpid())).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@unittest.skipUnless(sys.platform == "linux", "only Linux has subreapers")
class TemplateTest(MasterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    @classmethod
    def tearDownClass(cls):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        super().tearDownClass()

    def tell(self, worker, what, fds=(), **fields):
        send(worker.channel, json.dumps(dict(fields, type=what)).encode(), fds)

    def said(self, worker, what):
        return self.master.expect(lambda e: e["type"] == what and e["age"] == worker.age)

    def promote(self, worker):
        self.tell(worker, "promote", [self.master.generations[1].workers_end.fileno()])
        answers = "promoted", "refused"
        self.master.signal_until(
            worker,
            signal.SIGTERM,
            lambda: any(e["type"] in answers and e["age"] == worker.age for e in self.master.events),
        )

    def fork(self, template, slots=1):
        master = self.master
        master.age += 1
        worker = FakeWorker(master.age, slots)
        master.workers.append(worker)
        master.generations[1].workers.append(worker)
        fds = [worker.scoreboard_fd, worker.dump_fd, worker.channel_end.fileno(), *(s.fileno() for s in worker.theirs)]
        self.tell(template, "fork", fds, age=worker.age, server=master.server())
        for s in [*worker.theirs, worker.channel_end]:
            s.close()
        return worker

    def test_forks_workers_from_its_state(self):
        template = self.master.up(APP, config="def pre_fork(s, w): s.log.info('pre_fork %s', w.age)\n")
        self.assertEqual(self.master.get(template)[-1], b"1 %d %d" % (template.pid, template.pid))
        self.promote(template)
        self.said(template, "promoted")
        os.kill(template.pid, signal.SIGTERM)  # one that came too often
        for age in (2, 3):
            worker = self.fork(template)
            self.said(template, "forked")
            self.said(worker, "born")
            self.said(worker, "ready")
            self.assertIn("pre_fork %d" % age, self.master.read_log())
            answer = self.master.get(worker)[-1].split()
            worker.pid = int(answer[2])
            self.assertEqual(answer[:2], [b"2", b"%d" % template.pid])
            self.master.begin_end(worker)
            # This process is its parent.
            self.assertEqual(os.waitpid(worker.pid, 0), (worker.pid, 0), self.master.read_log())
        os.kill(template.pid, signal.SIGTERM)
        self.assertEqual(self.master.exited(template)["code"], 0)
        log = self.master.read_log()
        self.assertEqual(log.count("Worker exiting (pid: %d)" % template.pid), 1, log)

    def test_ends_with_its_channel(self):
        template = self.master.up(APP)
        self.promote(template)
        self.said(template, "promoted")
        template.channel.close()
        template.silent = True
        self.assertEqual(self.master.exited(template)["code"], 0)

    def refusal(self, code, config=""):
        template = self.master.up(code + APP, config=config)
        self.promote(template)
        reason = self.said(template, "refused")["reason"]
        self.assertEqual(self.master.exited(template)["code"], 0)
        return reason

    def test_a_thread(self):
        code = "import threading\nthreading.Thread(target=threading.Event().wait, name='mine', daemon=True).start()\n"
        self.assertIn("threads, which a fork would not have: mine", self.refusal(code))

    def test_a_connection(self):
        self.assertIn("the workers that it forks: unix:", self.refusal("import socket\nA = socket.socketpair()\n"))

    def test_a_hook_that_raises(self):
        self.assertIn("ZeroDivisionError", self.refusal("", "def after_refork(server, worker): 1 / 0\n"))

    def test_a_worker_says_that_it_is_warm(self):
        self.assertEqual(self.master.configure("")["type"], "ok")
        self.master.write("app.py", APP)
        self.assertEqual(self.master.prepare("app:app")["type"], "ok")
        call = self.master.call

        def with_limit(what, fds=(), **fields):
            return call(what, fds, **(dict(fields, warm_after=3) if what == "spawn" else fields))

        self.master.call = with_limit
        worker = self.master.spawn()
        for _ in range(5):
            self.master.request("/")
        self.said(worker, "warm")
        self.master.terminate(worker)
        self.assertFalse([e for e in self.master.events if e["type"] == "warm"])
