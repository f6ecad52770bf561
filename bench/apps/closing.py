"""An app whose responses have something to do at their end (PEP 3333, close()), as
those of frameworks do. It notes in a file what was called."""

import os

FILE = os.environ["BENCH_CALLS"]


def note(call):
    fd = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, call)
    os.close(fd)


class Response:
    def __iter__(self):
        return iter([b"Hello, World!\n"])

    def close(self):
        note(b"c")


def app(environ, start_response):
    note(b"a")
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "14")])
    return Response()
