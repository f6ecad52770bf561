# The file that every guide shows, with everything in it that Gunicorn's example has.
import multiprocessing

bind = "127.0.0.1:8000"
backlog = 2048

workers = min(multiprocessing.cpu_count() * 2 + 1, 5)
worker_class = "sync"
worker_connections = 1000
max_requests = 1000
max_requests_jitter = 100
timeout = 30
graceful_timeout = 30
keepalive = 2

spew = False
reload = False
preload_app = True

daemon = False
pidfile = "srv.pid"
umask = 0
user = None
group = None
tmp_upload_dir = None
worker_tmp_dir = "/dev/shm"

errorlog = "-"
loglevel = "info"
accesslog = "-"
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)sµs'

proc_name = "shop"

limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190


def on_starting(server):
    server.log.info("Starting %s with %s workers", server.cfg.proc_name, server.app.cfg.workers)


def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)


def pre_fork(server, worker):
    pass


def pre_exec(server):
    server.log.info("Forked child, re-executing.")


def when_ready(server):
    server.log.info("Server is ready. Spawning workers")


def worker_int(worker):
    worker.log.info("worker received INT or QUIT signal")


def worker_abort(worker):
    worker.log.info("worker received SIGABRT signal")


def on_exit(server):
    server.log.info("Goodbye")
