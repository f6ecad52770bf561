"""An app on one of several hosts: each answer says which host and which version of the code
it comes from."""

import asyncio
import os
from pathlib import Path

import lifespan

HOST = os.environ["HOST_NAME"]
VERSION = Path("version").read_text()
SERVED = [(b"x-host", HOST.encode()), (b"x-version", VERSION.encode()), (b"content-type", b"text/plain")]


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan.follow(receive, send)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "headers": SERVED[:2]})
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": event["text"]})
    body = scope["path"].encode() + b"\n"
    more = True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": SERVED})
    if scope["path"].startswith("/stream/"):
        for _ in range(10):
            await send({"type": "http.response.body", "body": b"part\n", "more_body": True})
            await asyncio.sleep(0.03)
    await send({"type": "http.response.body", "body": body})
