"""Reads the body in the way that the path names, and answers with its length and SHA-256."""

import hashlib


def parts(source, path):
    if path == "/read":
        return [source.read()]
    if path == "/sizes":
        return iter(lambda: source.read(7001), b"")
    if path == "/readline":
        return iter(source.readline, b"")
    if path == "/readline-limit":
        return iter(lambda: source.readline(10), b"")
    if path == "/readlines":
        return source.readlines()
    if path == "/none":
        return []
    return source


def app(environ, start_response):
    digest, length = hashlib.sha256(), 0
    for part in parts(environ["wsgi.input"], environ["PATH_INFO"]):
        digest.update(part)
        length += len(part)
    body = ("%d %s\n" % (length, digest.hexdigest())).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
