"""What workers and other processes that the spawner forks have of it: nothing."""

import json
import os
import sys
import unittest

from .support import MasterTest

# A preloaded app that keeps whatever it finds in the spawner, and looks in each process
# that is forked, as early and as often as it can, for what it got hold of.
GREEDY = """
import gc, json, os, signal, socket, stat, struct, sys, threading, time

MASTER = os.getppid()
SPAWNER = os.getpid()
found = {}

def masters(fd):
    s = socket.socket(fileno=fd)
    try:
        return (s.family == socket.AF_UNIX and s.type == socket.SOCK_SEQPACKET
                and struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0] == MASTER)
    finally:
        s.detach()

def look(when):
    if os.getpid() == SPAWNER:
        return
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and masters(fd):
                found.setdefault(when, set()).add(os.fstat(fd).st_ino)
        except OSError:
            pass
    found.setdefault(when, set())

kept = [os.dup(int(fd)) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)]
inheritable = [os.dup2(3, 900, True)]
os.register_at_fork(after_in_child=lambda: look("hook"))
gc.callbacks.append(lambda phase, info: look("collector"))
gc.set_threshold(1)
for number in (signal.SIGALRM, signal.SIGIO):
    signal.signal(number, lambda number, frame: look("signal"))

def disturb():
    # Signals to all that there is of this server, and descriptors that come in between.
    while True:
        try:
            for fd in os.listdir("/proc/self/fd"):
                if int(fd) < 800 and len(kept) < 400:
                    kept.append(os.dup(int(fd)))
        except OSError:
            pass
        for path in ("/proc/self/task/%d/children" % SPAWNER,):
            for pid in open(path).read().split():
                try:
                    os.kill(int(pid), signal.SIGALRM)
                except OSError:
                    pass
        time.sleep(0.001)

threading.Thread(target=disturb, daemon=True).start()

def app(environ, start_response):
    look("request")
    for fd in kept:
        os.close(fd)  # they are still its own
    start_response("200 OK", [])
    return [json.dumps({when: sorted(inodes) for when, inodes in found.items()}).encode()]
"""

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
        first = self.master.up(GREEDY, preload_app=True)
        self.master.configure("", generation=2)
        self.assertEqual(self.master.prepare("app:app", generation=2, load=False, preload_app=True)["type"], "ok")
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
