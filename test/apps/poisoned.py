"""Answers as echo does; /poison ends the worker, as a crash does, /exit with code 3, and each says
so in the file "runs" first. /wait answers when the gate "wait" lets it."""

import os
import signal

import gate


def run(path):
    if path in ("/poison", "/exit"):
        with open("runs", "a") as f:
            f.write(path + "\n")
    if path == "/poison":
        signal.raise_signal(signal.SIGSEGV)  # in this thread
    if path == "/exit":
        os._exit(3)
    if path == "/wait":
        gate.wait("wait")


def app(environ, start_response):
    run(environ["PATH_INFO"])
    body = environ["PATH_INFO"].encode("latin-1") + b"\n" + environ["wsgi.input"].read()
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
    run(scope["path"])
    body = scope["path"].encode() + b"\n" + body
    head = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
