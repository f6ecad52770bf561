"""Waits at a gate, leaves, or names its thread; the path says which."""

import os
import sys
import threading

gate = os.environ.get("GATE")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wait":
        # Until the test says so: it opens the pipe for writing.
        with open(gate) as f:
            f.read()
    elif path == "/exit":
        sys.exit(3)
    elif path == "/interrupt":
        raise KeyboardInterrupt
    elif path == "/thread":
        start_response("200 OK", [])
        return [threading.current_thread().name.encode()]
    start_response("200 OK", [])
    return [b"done"]
