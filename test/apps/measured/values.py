"""What the apps beside this file measure, and what they show of it."""

import os

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Summary,
    generate_latest,
    multiprocess,
)

ALL = Counter("app_all", "All requests.")
REQUESTS = Counter("app_requests", "Requests.", ["path"])
SIZES = Histogram("app_sizes_bytes", "Sizes.", buckets=(10, 100))
WORK = Summary("app_work_seconds", "Work.")
ALIVE = Gauge("app_alive", "Workers that have had a request.", multiprocess_mode="livesum")
LATEST = Gauge("app_latest", "The process that was asked last.", multiprocess_mode="max")
EACH = Gauge("app_each", "One for each process.")
AT_IMPORT = Gauge("app_imports", "Imports of the app.", multiprocess_mode="livesum")
AT_IMPORT.set(1)


def count(path, body):
    """Counts a request for /a, and returns what the path of others asks for."""
    ALL.inc()
    if path == "/a":
        REQUESTS.labels(path).inc()
        SIZES.observe(2)
        WORK.observe(0.5)
        ALIVE.set(1)
        LATEST.set(os.getpid())
        EACH.set(1)
    if path == "/directory":
        return os.environ.get("PROMETHEUS_MULTIPROC_DIR", "none").encode()
    if path == "/own":  # as the library's documentation has it
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry)
    if path == "/this":
        return generate_latest(REGISTRY)
    return path.encode() + b"\n" + body  # as the clients of a load check
