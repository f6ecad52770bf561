"""The WSGI app that every server of the bench runs."""

import time

HELLO = b"Hello, World!\n"
TEN_KILOBYTES = b"0123456789abcdef" * 640
SLOW_SECONDS = 0.2


def hello(environ):
    return HELLO


def ten_kilobytes(environ):
    return TEN_KILOBYTES


def echo(environ):
    return environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))


def slow(environ):
    time.sleep(SLOW_SECONDS)
    return HELLO


ROUTES = {"/": hello, "/10k": ten_kilobytes, "/echo": echo, "/slow": slow}


def app(environ, start_response):
    body = ROUTES[environ["PATH_INFO"]](environ)
    start_response("200 OK", [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
    ])
    return [body]
