"""/spin computes for ever, and with it its worker; /stuck sleeps for ever, and says when it is
ended; /wait/NAME waits at a gate; others answer with the pid."""

import os
import time

import gate


def spin_here():
    while True:
        pass


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/spin":
        spin_here()
    if path == "/stuck":
        try:
            time.sleep(3600)
        finally:
            environ["wsgi.errors"].write("ended\n")
    if path.startswith("/wait/"):
        gate.wait(path[6:])
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
