"""Apps that note in the file "journal" which request ran in which process, before they
answer it: a line for each, the path and the pid. /stream answers in parts."""

import asyncio
import os
import random
import time

import lifespan

_journal = os.open("journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

PARTS = 5


def _note(path):
    # One write of a short line with O_APPEND is never mixed with another's.
    os.write(_journal, b"%s %d\n" % (path.encode(), os.getpid()))


def _pause():
    return random.random() * 0.005


def _text(path):
    return b"%s %d\n" % (path.encode(), os.getpid())


def app(environ, start_response):
    path = environ["PATH_INFO"]
    _note(path)
    time.sleep(_pause())
    start_response("200 OK", [("Content-Type", "text/plain")])
    if not path.startswith("/stream"):
        return [_text(path)]
    return _parts(path)


def _parts(path):
    for _ in range(PARTS):
        time.sleep(_pause())
        yield _text(path)


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan.follow(receive, send)
    path = scope["path"]
    _note(path)
    if scope["type"] == "websocket":
        return await _echo(receive, send)
    await asyncio.sleep(_pause())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if path.startswith("/stream"):
        for _ in range(PARTS):
            await asyncio.sleep(_pause())
            await send({"type": "http.response.body", "body": _text(path), "more_body": True})
        await send({"type": "http.response.body"})
    else:
        await send({"type": "http.response.body", "body": _text(path)})


async def _echo(receive, send):
    await receive()
    await send({"type": "websocket.accept", "headers": [(b"x-pid", b"%d" % os.getpid())]})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": event["text"]})
