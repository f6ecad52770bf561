"""Fills a cache with its first request. /cache says who filled it, and who answers; anything
else is answered as by echo.py."""

import os

CACHE = {}


def answer(path, body):
    if not CACHE:
        CACHE["by"] = os.getpid()
    return b"%d %d" % (CACHE["by"], os.getpid()) if path == "/cache" else path.encode("latin-1") + b"\n" + body


def app(environ, start_response):
    body = answer(environ["PATH_INFO"], environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer(scope["path"], body)})
