"""Answers with what came of the request; the path names the function."""

import hashlib

OK, TEXT = "200 OK", [("Content-Type", "text/plain")]


def one(environ, start):
    start(OK, TEXT)
    return [b"one"]


def errors(environ, start):
    e = environ["wsgi.errors"]
    e.write("to errors \u20ac\n")
    e.writelines(["a", "b\n"])
    e.flush()
    start(OK, TEXT)
    return []


def body(environ, start):
    i = environ["wsgi.input"]
    parts = [i.read(2), i.readline(), i.readline(3), next(iter(i)), i.readlines(), i.read(), i.read(5)]
    start(OK, TEXT)
    return [repr(parts).encode()]


def digest(environ, start):
    start(OK, TEXT)
    return [hashlib.sha256(environ["wsgi.input"].read()).hexdigest().encode()]


def size(environ, start):
    start(OK, TEXT)
    return [str(len(environ["wsgi.input"].read())).encode()]


def echo_environ(environ, start):
    start(OK, TEXT)
    return [repr({k: v for k, v in environ.items() if isinstance(v, (str, bool, tuple))}).encode()]


def app(environ, start):
    return globals()[environ["PATH_INFO"][1:]](environ, start)
