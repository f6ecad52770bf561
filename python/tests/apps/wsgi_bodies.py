"""Response bodies in all the forms that PEP 3333 allows; the path names the function."""

import sys
import wsgiref.validate

OK, TEXT = "200 OK", [("Content-Type", "text/plain")]


class Closing:
    """An iterator with a close() that can be seen in the log."""

    def __init__(self, items, log):
        self.items, self.log = iter(items), log

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)

    def close(self):
        self.log.write("closed\n")


class Str(str):
    pass


class Bytes(bytes):
    pass


def one(environ, start):
    start(OK, TEXT)
    return [b"one"]


def several(environ, start):
    start(OK, TEXT)
    return (b"one", b"", b"two")


def none(environ, start):
    start(OK, TEXT)
    return []


def data(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def edge(environ, start):
    start(OK, TEXT)
    return [data(int(environ["QUERY_STRING"]))]


def stream(environ, start):
    start(OK, TEXT)
    for size in environ["QUERY_STRING"].split(","):
        yield data(int(size))


def generator(environ, start):
    start(OK, TEXT)
    yield b""
    yield b"a"
    yield b""
    yield b"b"


def late(environ, start):
    """PEP 3333: start_response may come with the first item."""

    def items():
        start(OK, TEXT)
        yield b"late"

    return items()


def framework(environ, start):
    start(OK, [("CONTENT-length", "5")])
    return Closing([b"12345", b"over"], environ["wsgi.errors"])


def short(environ, start):
    start(OK, [("Content-Length", "9")])
    return Closing([b"12345", b"6789"], environ["wsgi.errors"])


def empty_iterator(environ, start):
    start(OK, TEXT)
    return Closing([], environ["wsgi.errors"])


def write(environ, start):
    w = start(OK, TEXT)
    w(b"a")
    w(b"")
    w(b"b")
    return [b"c"]


def write_only(environ, start):
    w = start(OK, TEXT)
    w(b"")
    return []


def exc_info(environ, start):
    start(OK, TEXT)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        start("500 Oops", [], sys.exc_info())
    return [b"oops"]


def latin1(environ, start):
    start("200 \xe4", [("X", "\xe9")])
    return [b""]


def changed(environ, start):
    headers = [("X", "y")]
    start(OK, headers)
    headers[:] = [("X", 5)]
    headers.append(("Z", "z"))
    return [b"z"]


def changed_while_streamed(environ, start):
    headers = [("X", "y")]
    start(OK, headers)
    headers.clear()
    yield b"a"
    headers.append(5)
    yield b"b"


def subclasses(environ, start):
    start(Str(OK), (list(p) for p in [(Str("X"), Str("y"))]))
    return [Bytes(b"z")]


def large_head(environ, start):
    start(OK, [("X", "y" * 100000)])
    return [bytes(90000)]


def hints(environ, start):
    environ["wsgi.early_hints"]([("Link", "</a>"), (b"Link", b"</b>")])
    start(OK, TEXT)(b"x")
    environ["wsgi.early_hints"]([("Link", "</late>")])
    return []


@wsgiref.validate.validator
def valid(environ, start):
    environ["wsgi.input"].read(1)
    environ["wsgi.errors"].write("")
    start(OK, TEXT)
    return [b"valid"]


def app(environ, start):
    return globals()[environ["PATH_INFO"][1:]](environ, start)
