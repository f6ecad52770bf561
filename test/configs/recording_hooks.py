# Notes each call of a hook: its name, the process and the arguments. One line is one write.
import os


def _note(name, *args):
    def show(a):
        if a is None or isinstance(a, int):
            return str(a)
        if hasattr(a, "WORKERS"):
            return "server"
        if hasattr(a, "age"):
            return "worker%s" % a.age
        return type(a).__name__

    with open(os.environ["RECORD"], "a") as f:
        f.write("%s %d %s\n" % (name, os.getpid(), " ".join(map(show, args))))


def on_starting(server):
    _note("on_starting", server)


def on_reload(server):
    _note("on_reload", server)


def when_ready(server):
    _note("when_ready", server)


def on_exit(server):
    _note("on_exit", server)


def nworkers_changed(server, new, old):
    _note("nworkers_changed", server, new, old)


def pre_exec(server):
    _note("pre_exec", server)


def pre_fork(server, worker):
    _note("pre_fork", server, worker)


def child_exit(server, worker):
    _note("child_exit", server, worker)


def post_fork(server, worker):
    _note("post_fork", server, worker)


def post_worker_init(worker):
    _note("post_worker_init", worker)


def worker_int(worker):
    _note("worker_int", worker)


def worker_abort(worker):
    _note("worker_abort", worker)


def worker_exit(server, worker):
    _note("worker_exit", server, worker)


def pre_request(worker, req):
    _note("pre_request", worker, req)


def post_request(worker, req, environ, resp):
    _note("post_request", worker, req, environ, resp)
