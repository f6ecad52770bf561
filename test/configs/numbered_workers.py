# Hooks as many config files have them, to number the workers.
import threading
import time


class Note:
    def __init__(self, text):
        self.text = text


def on_starting(server):
    server._free_again = set()
    server.started_at = time.time()
    server.note = Note("kept")
    server.lock = threading.Lock()
    server.large = "x" * 100000


def nworkers_changed(server, new, old):
    server._count = new


def on_reload(server):
    server._free_again = set(range(1, server._count + 1))
    server.log.info("on_reload %d", server._count)


def pre_fork(server, worker):
    if server._free_again:
        worker._id = server._free_again.pop()
    else:
        used = {w._id for w in tuple(server.WORKERS.values()) if w.alive}
        worker._id = (set(range(1, server._count + 1)) - used).pop()


def post_fork(server, worker):
    worker.log.info("worker %d of %.3f, %s", worker._id, server.started_at, server.note.text)
