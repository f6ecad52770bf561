"""Goes wrong in the way that the path names."""

import sys


def app(environ, start_response):
    path = environ["PATH_INFO"]
    headers = [("Content-Type", "text/plain")]
    if path == "/before":
        raise ValueError("before the head")
    if path == "/after":
        return after(start_response, headers)
    if path == "/exc-info":
        start_response("200 OK", headers)
        try:
            raise ValueError("replaced")
        except ValueError:
            start_response("503 Replaced", headers, sys.exc_info())
        return [b"replaced\n"]
    if path == "/exc-info-late":
        write = start_response("200 OK", headers)
        write(b"part")
        try:
            raise ValueError("too late")
        except ValueError:
            start_response("503 Replaced", headers, sys.exc_info())
        return [b"unreachable"]
    if path == "/twice":
        start_response("200 OK", headers)
        start_response("200 OK", headers)
        return []
    if path == "/bad-name":
        start_response("200 OK", [("Bad Name", "x")])
        return [b"unreachable"]
    if path == "/bad-value":
        start_response("200 OK", [("X-Value", "a\r\nX-Injected: b")])
        return [b"unreachable"]
    if path == "/bad-status":
        start_response("200 OK\r\nX-Injected: b", headers)
        return [b"unreachable"]
    if path == "/never":
        return [b"no start_response"]
    if path == "/too-short":
        start_response("200 OK", [*headers, ("Content-Length", "100")])
        return [b"short"]
    if path == "/too-long":
        start_response("200 OK", [*headers, ("Content-Length", "5")])
        return [b"12345678"]
    if path == "/exit":
        sys.exit(1)
    start_response("200 OK", headers)
    return [b"fine\n"]


def after(start_response, headers):
    start_response("200 OK", headers)
    yield b"part"
    raise ValueError("after the head")
