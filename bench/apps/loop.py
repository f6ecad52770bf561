"""Calls an app in a loop, as a server would for a GET of / that asks for little else:
loop.py MODULE SECONDS. Prints a line of JSON: the processor time of a call in microseconds,
"alone" and while another process does the same ("busy"), and the body of the answer."""

import asyncio
import importlib
import inspect
import io
import json
import os
import signal
import sys
import time

WARM_SECONDS = 0.2
# Between two looks at the clock.
BATCH = 50

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "RAW_URI": "/",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "40000",
    "HTTP_HOST": "127.0.0.1",
    "HTTP_USER_AGENT": "bench",
    "HTTP_ACCEPT": "*/*",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input": io.BytesIO(),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}

SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"127.0.0.1"), (b"user-agent", b"bench"), (b"accept", b"*/*")],
    "client": ("127.0.0.1", 40000),
    "server": ("127.0.0.1", 8000),
}
EMPTY_BODY = {"type": "http.request", "body": b"", "more_body": False}


def start_response(status, headers, exc_info=None):
    if not status.startswith("200 "):
        raise ValueError(status)


def call_wsgi(app):
    result = app(dict(ENVIRON), start_response)
    try:
        return b"".join(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()


async def call_asgi(app):
    body = []

    async def receive():
        return EMPTY_BODY

    async def send(message):
        if message["type"] == "http.response.body":
            body.append(message.get("body", b""))
        elif message["status"] != 200:
            raise ValueError(message["status"])

    scope = dict(SCOPE)
    scope["headers"] = list(SCOPE["headers"])
    await app(scope, receive, send)
    return b"".join(body)


def loop_wsgi(app, seconds):
    """Returns the microseconds of a call."""
    calls, end, began = 0, time.monotonic() + seconds, time.process_time_ns()
    while not calls or time.monotonic() < end:
        for _ in range(BATCH):
            call_wsgi(app)
        calls += BATCH
    return (time.process_time_ns() - began) / calls / 1000


async def loop_asgi(app, seconds):
    calls, end, began = 0, time.monotonic() + seconds, time.process_time_ns()
    while not calls or time.monotonic() < end:
        for _ in range(BATCH):
            await call_asgi(app)
        calls += BATCH
    return (time.process_time_ns() - began) / calls / 1000


def main(module, seconds):
    sys.path.insert(0, os.getcwd())
    app = importlib.import_module(module).app
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):

        def loop(seconds):
            return asyncio.run(loop_asgi(app, seconds))

        body = asyncio.run(call_asgi(app))
    else:

        def loop(seconds):
            return loop_wsgi(app, seconds)

        body = call_wsgi(app)
    loop(WARM_SECONDS)
    alone = loop(seconds)
    other = os.fork()
    if other == 0:
        loop(seconds + 2 * WARM_SECONDS)
        os._exit(0)
    loop(WARM_SECONDS)
    busy = loop(seconds)
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)
    print(json.dumps({"alone": alone, "busy": busy, "body": body.decode()}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
