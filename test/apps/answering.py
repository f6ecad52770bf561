"""Answers with the status that the path names and a hundred bytes, after it has read the body; for both interfaces.

At /gate/NAME it waits at a gate before that, and at /busy it computes for 50 ms.
"""

import time

import asgiapps
import gate

PAGE = b"x" * 100


def busy():
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        pass


def app(environ, start_response):
    environ["wsgi.input"].read()
    path = environ["PATH_INFO"].strip("/")
    if path.startswith("gate/"):
        gate.wait(path[5:])
    elif path == "busy":
        busy()
    start_response("%s Some Reason" % (path if path.isdigit() else "200"), [("Content-Length", "100")])
    return [PAGE]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no " + scope["type"])
    while (await receive()).get("more_body"):
        pass
    path = scope["path"].strip("/")
    if path.startswith("gate/"):
        await asgiapps.gate_wait(path[5:])
    elif path == "busy":
        busy()
    headers = [(b"content-length", b"100")]
    await asgiapps.respond(send, PAGE, int(path) if path.isdigit() else 200, headers)
