"""Sends data.bin by wsgi.file_wrapper, in the way that the path names."""

import io
import os


def app(environ, start_response):
    path = environ["PATH_INFO"]
    size = os.path.getsize("data.bin")
    f = open("data.bin", "rb")
    headers = [("Content-Type", "application/octet-stream")]
    if path == "/whole":
        headers.append(("Content-Length", str(size)))
    elif path == "/rest":
        f.seek(1000)
        headers.append(("Content-Length", str(size - 1000)))
    elif path == "/part":
        headers.append(("Content-Length", "5000"))
    elif path == "/memory":
        f = io.BytesIO(f.read())
    elif path == "/empty":
        f = open("empty.bin", "rb")
    start_response("200 OK", headers)
    return environ["wsgi.file_wrapper"](f, 4096)
