# Metrics of all workers together, by prometheus_client's multiprocess mode: the
# files of a dead worker are marked, and the master's side serves them.
import os
import shutil

METRICS = os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", os.path.join(os.getcwd(), "metrics"))
os.makedirs(METRICS, exist_ok=True)

workers = int(os.environ.get("WEB_CONCURRENCY", 2))


def on_starting(server):
    shutil.rmtree(METRICS, ignore_errors=True)
    os.makedirs(METRICS)


def when_ready(server):
    from prometheus_client import CollectorRegistry, multiprocess, start_http_server

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    start_http_server(int(os.environ["METRICS_PORT"]), addr="127.0.0.1", registry=registry)


def child_exit(server, worker):
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
