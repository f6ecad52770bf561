"""The WSGI app of the checks."""

import os

HELLO = b"Hello, World!\n"
FILE = os.environ["BENCH_CALLS"]


def note(call):
    """Notes in a file what was called."""
    fd = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, call)
    os.close(fd)


class Response:
    """A response that has something to do at its end (PEP 3333, close()), as those of
    frameworks do."""

    def __iter__(self):
        return iter([HELLO])

    def close(self):
        note(b"c")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = HELLO
    if path == "/close":
        note(b"a")
    elif path == "/echo":
        # What comes in chunks has no length that could be asked for.
        body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return Response() if path == "/close" else [body]
