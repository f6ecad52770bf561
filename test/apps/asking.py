"""Asks what the server knows of its request. /long and /gone ask for a minute more; /long waits at the gate of that
name, /gone until its client has gone, and then at its gate. The answer is how many seconds are left."""

import time

import gate


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path in ("/long", "/gone"):
        environ["indrik.extend_deadline"](60)
    if path == "/long":
        gate.wait("long")
    if path == "/gone":
        gate.wait("begun")
        while not environ["indrik.disconnected"]():
            time.sleep(0.005)
        gate.wait("gone")
    deadline = environ["indrik.deadline"]()
    body = b"none" if deadline is None else b"%.3f" % (deadline - time.monotonic())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
