# Django, loaded once before the fork. Database connections must not be shared by
# processes, so each worker drops what it has inherited.
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")

wsgi_app = "site_wsgi:application"
workers = 2
preload_app = True
timeout = 120
max_requests = 1000
max_requests_jitter = 50


def post_fork(server, worker):
    from django.db import connections

    for alias in connections:
        connection = connections[alias]
        connection.inc_thread_sharing()
        connection.close()
    server.log.info("Worker %s has connections of its own", worker.pid)


def worker_exit(server, worker):
    from django.db import connections

    connections.close_all()
