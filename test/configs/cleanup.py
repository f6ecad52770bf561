# Each worker has files of its own, which are gone when it is, however it ended.
import os
import tempfile

workers = 2
max_requests = 50


def pre_fork(server, worker):
    worker.scratch = tempfile.mkdtemp(prefix="worker-%d-" % worker.age, dir=".")


def post_fork(server, worker):
    with open(os.path.join(worker.scratch, "pid"), "w") as f:
        f.write(str(worker.pid))


def worker_exit(server, worker):
    server.log.info("worker %s leaves after %d requests", worker.pid, worker.nr)
    os.unlink(os.path.join(worker.scratch, "pid"))


def child_exit(server, worker):
    # Also of one that was killed and could not do it.
    for name in os.listdir(worker.scratch):
        os.unlink(os.path.join(worker.scratch, name))
        server.log.warning("worker %s left %s behind", worker.pid, name)
    os.rmdir(worker.scratch)
