"""Breaks PEP 3333, each function in its own way; the path names the function."""

import sys

OK, TEXT = "200 OK", [("Content-Type", "text/plain")]


class Body:
    """Items of a body, of which an exception is raised; close() can be seen in the log."""

    def __init__(self, items, log):
        self.items, self.log = iter(items), log

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self.items)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self):
        self.log.write("closed\n")


class Unclosable(Body):
    def close(self):
        raise ValueError("in close")


def one(environ, start):
    start(OK, TEXT)
    return [b"one"]


def early_error(environ, start):
    start(OK, TEXT)
    raise ValueError("early")


def late_error(environ, start):
    start(OK, TEXT)
    return Body([b"a", ValueError("late")], environ["wsgi.errors"])


def close_error(environ, start):
    start(OK, [("Content-Length", "1")])
    return Unclosable([b"a"], None)


def exc_info_late(environ, start):
    w = start(OK, TEXT)
    w(b"a")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        start("500 Oops", [], sys.exc_info())


def twice(environ, start):
    start(OK, TEXT)
    start(OK, TEXT)


def never(environ, start):
    return [b"x"]


def not_bytes(environ, start):
    start(OK, TEXT)
    return ["text"]


def not_bytes_later(environ, start):
    start(OK, TEXT)
    return iter([b"a", "text"])


def bad_status(environ, start):
    start(200, TEXT)


def bad_header(environ, start):
    start(OK, [("X", 1)])


def wide_header(environ, start):
    start(OK, [("X", "\u20ac")])


def none_result(environ, start):
    start(OK, TEXT)


def huge_head(environ, start):
    start(OK, [("X", "y" * 140000)])
    return [b"z"]


def app(environ, start):
    return globals()[environ["PATH_INFO"][1:]](environ, start)
