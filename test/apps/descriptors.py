"""An app that has used up all descriptors."""

import os

held = []


def app(environ, start_response):
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    path = environ["PATH_INFO"]
    if path == "/parts":
        return (b"x" * 100000 for _ in range(3))
    if path == "/whole":
        return [b"x" * 200000]
    return [b"x"]
