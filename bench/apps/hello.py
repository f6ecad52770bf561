"""The WSGI app that every server of the bench runs."""

import os
import time

HELLO = b"Hello, World!\n"
TEN_KILOBYTES = b"0123456789abcdef" * 640
MEGABYTE = b"0123456789abcdef" * (1 << 16)
FILE = os.environ.get("BENCH_FILE")
SLOW_SECONDS = 0.2
SLEEP_SECONDS = 0.01
LONG_SLEEP_SECONDS = 0.1


def burn():
    """Takes some 2 ms of a processor."""
    return sum(i * i for i in range(25000))


def hello(environ):
    return HELLO


def ten_kilobytes(environ):
    return TEN_KILOBYTES


def megabyte(environ):
    return MEGABYTE


def echo(environ):
    return environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))


def slow(environ):
    time.sleep(SLOW_SECONDS)
    return HELLO


def sleep(environ):
    time.sleep(SLEEP_SECONDS)
    return HELLO


def sleep100(environ):
    time.sleep(LONG_SLEEP_SECONDS)
    return HELLO


def cpu(environ):
    burn()
    return HELLO


def pid(environ):
    return b"%d" % os.getpid()


ROUTES = {
    "/": hello,
    "/10k": ten_kilobytes,
    "/1m": megabyte,
    "/echo": echo,
    "/slow": slow,
    "/sleep": sleep,
    "/sleep100": sleep100,
    "/cpu": cpu,
    "/pid": pid,
}


def send_file(environ, start_response):
    file = open(FILE, "rb")
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(os.fstat(file.fileno()).st_size)),
        ],
    )
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is None:
        with file:
            return [file.read()]
    return wrapper(file)


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/file":
        return send_file(environ, start_response)
    body = ROUTES[path](environ)
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
        ],
    )
    return [body]
