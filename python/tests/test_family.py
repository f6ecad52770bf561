"""What workers and other processes that the spawner forks have of it: nothing."""

import json
import os
import sys
import unittest

from .support import MasterTest

FORKS = """
import json, os

def on_starting(server):
    r, w = os.pipe()
    pid = os.fork()
    if pid:
        os.close(w)
        with open(r) as f:
            print("in the child:", f.read(), flush=True)
        os.waitpid(pid, 0)
        return
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink("/proc/self/fd/" + fd))
        except OSError:
            pass
    os.write(w, json.dumps([l for l in links if l.startswith("socket")]).encode())
    os._exit(0)
"""


@unittest.skipUnless(sys.platform == "linux", "looks into /proc")
class Family(MasterTest):
    def test_preloaded(self):
        first = self.master.serve("greedy:app", preload_app=True)
        self.master.configure("", generation=2)
        self.assertEqual(self.master.prepare("greedy:app", generation=2, load=False, preload_app=True)["type"], "ok")
        for generation in (1, 2):
            worker = first if generation == 1 else self.master.spawn(generation=generation)
            ends = sorted([*worker.inodes, os.fstat(self.master.generations[generation].workers_end.fileno()).st_ino])
            found = json.loads(self.master.get(worker, generation=generation)[4])
            self.assertLessEqual({"hook", "request"}, set(found))
            for when, inodes in found.items():
                self.assertEqual(inodes, ends, when)
            self.assertEqual(os.readlink("/proc/%d/fd/900" % worker.pid), "/dev/null")

    def test_forks_of_hooks(self):
        self.master.configure(FORKS)
        self.master.write("app.py", "def app(environ, start_response): pass")
        self.master.prepare("app:app")
        self.assertEqual(
            self.master.call("hook", generation=1, hook="on_starting", server=self.master.server())["type"], "ok"
        )
        self.assertIn("in the child: []", self.master.read_log())
        self.master.spawn()
