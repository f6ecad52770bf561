"""Gives wsgi.file_wrapper files of many kinds; the path names the function, the query the
file, and the header Kind what an object of a class of its own does."""

import gzip
import io
import tempfile

OK, TEXT = "200 OK", [("Content-Type", "text/plain")]


def file(environ, start):
    f = open(environ["QUERY_STRING"], "rb")
    f.read(3)
    start(OK, TEXT)
    return environ["wsgi.file_wrapper"](f, 4)


def file_in_memory(environ, start):
    start(OK, TEXT)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"in memory"), 4)


def file_gzip(environ, start):
    start(OK, TEXT)
    return environ["wsgi.file_wrapper"](gzip.open(environ["QUERY_STRING"]))


def file_of_its_own(environ, start):
    start(OK, TEXT)
    return environ["wsgi.file_wrapper"](FILES[environ["HTTP_KIND"]](environ["QUERY_STRING"]))


def file_wrapped(environ, start):
    start(OK, TEXT)
    return (part for part in environ["wsgi.file_wrapper"](open(environ["QUERY_STRING"], "rb")))


class Pretends:
    """It reads something else than what its descriptor has."""

    def __init__(self, path):
        self.file = open(path, "rb")
        self.left = [b"read"]

    def read(self, size=-1):
        return self.left.pop() if self.left else b""

    def fileno(self):
        return self.file.fileno()

    def tell(self):
        return self.file.tell()

    def close(self):
        self.file.close()


class Derived(io.BufferedReader):
    def read(self, size=-1):
        return super().read(size).upper()


class Raw(io.RawIOBase):
    """A reader of its own below a buffer of Python's."""

    def __init__(self, path):
        self.file = open(path, "rb")
        self.left = b"raw"

    def readable(self):
        return True

    def readinto(self, b):
        n = len(self.left)
        b[:n] = self.left
        self.left = b""
        return n

    def fileno(self):
        return self.file.fileno()


def written(path):
    f = tempfile.NamedTemporaryFile()
    f.write(b"not flushed")
    f.seek(0)
    f.write(b"NOT")
    return f


FILES = {
    "pretends": Pretends,
    "derived": lambda path: Derived(io.FileIO(path)),
    "raw": lambda path: io.BufferedReader(Raw(path)),
    "plain": lambda path: open(path, "rb"),
    "unbuffered": lambda path: open(path, "rb", 0),
    "both": lambda path: open(path, "r+b"),
    "written": written,
}


def app(environ, start):
    return globals()[environ["PATH_INFO"][1:]](environ, start)
