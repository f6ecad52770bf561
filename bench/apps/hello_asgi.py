"""hello.py as an ASGI app."""

import asyncio
import os
import time

from hello import HELLO, LONG_SLEEP_SECONDS, MEGABYTE, SLEEP_SECONDS, SLOW_SECONDS, TEN_KILOBYTES, burn

EVENT_SECONDS = 0.05


async def hello(receive):
    return HELLO


async def ten_kilobytes(receive):
    return TEN_KILOBYTES


async def megabyte(receive):
    return MEGABYTE


async def echo(receive):
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def slow(receive):
    await asyncio.sleep(SLOW_SECONDS)
    return HELLO


async def sleep(receive):
    await asyncio.sleep(SLEEP_SECONDS)
    return HELLO


async def sleep100(receive):
    await asyncio.sleep(LONG_SLEEP_SECONDS)
    return HELLO


async def cpu(receive):
    burn()
    return HELLO


async def pid(receive):
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


async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            return
        if message.get("bytes") is not None:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        else:
            await send({"type": "websocket.send", "text": message["text"]})


async def disconnected(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def events(receive, send):
    """Server-sent events, each with the time at which it was sent."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    gone = asyncio.ensure_future(disconnected(receive))
    while not gone.done():
        await asyncio.sleep(EVENT_SECONDS)
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % time.time_ns(), "more_body": True})


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    if scope["type"] != "http":
        await (websocket if scope["type"] == "websocket" else lifespan)(receive, send)
        return
    if scope["path"] == "/events":
        await events(receive, send)
        return
    body = await ROUTES[scope["path"]](receive)
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"%d" % len(body)),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
