"""An app that says what it runs on, and gives bodies back."""

import platform
import sys


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [body or ("%s %s %d" % (platform.machine(), sys.byteorder, sys.maxsize.bit_length() + 1)).encode()]


async def coroutine(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})
        await receive()
        return
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body or platform.machine().encode()})
