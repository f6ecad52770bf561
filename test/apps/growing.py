"""Answers as echo does, and keeps memory: LEAK_KIB for each request that is not one of these.

/take/N takes N MiB and keeps them, /hold/N takes them and does not answer until the gate "hold"
lets it.
"""

import os

import gate

LEAK = int(os.environ.get("LEAK_KIB", "0")) << 10
kept = []


def take(path):
    """Takes what a path asks for, and answers its body."""
    parts = path.split("/")
    size = LEAK
    if parts[1] in ("take", "hold"):
        size = int(parts[2]) << 20
    if size:
        kept.append(bytearray(b"x") * size)  # written, so that it is resident
    if parts[1] == "hold":
        gate.wait("hold")
    return path.encode("latin-1") + b"\n"


def app(environ, start_response):
    body = take(environ["PATH_INFO"]) + environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    body = take(scope["path"]) + body
    head = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
