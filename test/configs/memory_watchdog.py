# A thread beside the server asks workers to leave that have grown too much.
import os
import signal
import threading
import time

LIMIT = int(os.environ.get("WORKER_MEMORY_LIMIT_MB", "300")) << 20
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(pid):
    try:
        with open("/proc/%d/statm" % pid) as f:
            return int(f.read().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def watch(server):
    while True:
        time.sleep(0.1)
        for pid, worker in list(server.WORKERS.items()):
            if resident(pid) > LIMIT:
                server.log.warning("Worker %s (age %s) uses too much memory, it is replaced", pid, worker.age)
                os.kill(pid, signal.SIGTERM)


def when_ready(server):
    threading.Thread(target=watch, args=(server,), daemon=True).start()
