# Metrics for Datadog, some of the app's own among them.
import os

statsd_host = os.environ.get("STATSD", "localhost:8125")
statsd_prefix = os.environ.get("SERVICE", "web")
dogstatsd_tags = "env:%s,version:%s" % (os.environ.get("ENV", "dev"), os.environ.get("VERSION", "0"))


def post_worker_init(worker):
    worker.log.info("", extra={"metric": "boot", "value": 1, "mtype": "counter"})


def post_request(worker, req, environ, resp):
    if req.path.startswith("/upload"):
        worker.log.debug(
            "", extra={"metric": "uploaded", "value": int(environ.get("CONTENT_LENGTH") or 0), "mtype": "histogram"}
        )
