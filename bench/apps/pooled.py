"""The WSGI app of the workloads of pools (Gunicorn's dirty workers), and the app of the pool."""

import time

from gunicorn.dirty import DirtyApp, get_dirty_client

HELLO = b"Hello, World!\n"
KILOBYTE = b"0123456789abcdef" * 64
MEGABYTE = KILOBYTE * 1024
CALLS = 10
PARTS = 1000
PART = "a token "
SLEEP_SECONDS = 0.01
NAME = "pooled:Pooled"


class Pooled(DirtyApp):
    def echo(self, data):
        return data

    def parts(self, count):
        for _ in range(count):
            yield PART

    def sleep(self):
        time.sleep(SLEEP_SECONDS)
        return True


def echo(data):
    client = get_dirty_client()
    for _ in range(CALLS):
        if client.execute(NAME, "echo", data) != data:
            raise ValueError("another answer")
    return HELLO


def stream():
    count = 0
    for part in get_dirty_client().stream(NAME, "parts", PARTS):
        if part != PART:
            raise ValueError("another part")
        count += 1
    if count != PARTS:
        raise ValueError("%d parts" % count)
    return HELLO


def sleep():
    get_dirty_client().execute(NAME, "sleep")
    return HELLO


ROUTES = {
    "/": lambda: HELLO,
    "/1k": lambda: echo(KILOBYTE),
    "/1m": lambda: echo(MEGABYTE),
    "/stream": stream,
    "/sleep": sleep,
}


def app(environ, start_response):
    body = ROUTES[environ["PATH_INFO"]]()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
