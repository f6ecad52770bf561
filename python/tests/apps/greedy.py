"""A preloaded app that keeps whatever it finds in the spawner, and looks in each process
that is forked, as early and as often as it can, for what it got hold of."""

import gc
import json
import os
import signal
import socket
import stat
import struct
import threading
import time

MASTER = os.getppid()
SPAWNER = os.getpid()
found = {}


def masters(fd):
    s = socket.socket(fileno=fd)
    try:
        return (
            s.family == socket.AF_UNIX
            and s.type == socket.SOCK_SEQPACKET
            and struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0] == MASTER
        )
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
