"""Runs for ever at /stuck, in a function with a name that a stack must show; waits at a gate at /wait/NAME."""

import time

import gate


def stuck_here():
    while True:
        time.sleep(0.01)


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stuck":
        stuck_here()
    if path.startswith("/wait/"):
        gate.wait(path[6:])
    body = b"done\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
