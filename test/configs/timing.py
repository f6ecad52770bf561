# Which requests are slow? Known by an id, which the app and its logs see too.
import time
import uuid

SLOW = 0.0


def pre_request(worker, req):
    worker.started = time.monotonic()
    if not any(name == "X-REQUEST-ID" for name, _ in req.headers):
        req.headers.append(("X-REQUEST-ID", uuid.uuid4().hex))


def post_request(worker, req, environ, resp):
    took = time.monotonic() - worker.started
    if took >= SLOW:
        worker.log.warning(
            "slow: %s %s took %.3f s, status %s, id %s",
            req.method,
            req.path,
            took,
            resp.status.split()[0],
            environ["HTTP_X_REQUEST_ID"],
        )
