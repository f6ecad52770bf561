"""Waits at the gate that the path names (/ with none), then answers with the pid and the thread."""

import os
import threading

import gate


def app(environ, start_response):
    gate.wait(environ["PATH_INFO"].strip("/") or "none")
    body = b"%d %d\n" % (os.getpid(), threading.get_ident())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
