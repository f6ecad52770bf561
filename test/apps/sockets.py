"""An ASGI app with a WebSocket for each behaviour, by path. GET / answers with what
ended so far: a line for each, the path, the code and the reason."""

import asyncio
import os
import time
from urllib.parse import parse_qs

import lifespan
from asgiapps import gate_wait

ended = []
counts = {"sent": 0}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan.follow(receive, send)
    if scope["type"] == "http":
        body = "".join("%s %s %s\n" % e for e in ended) if scope["path"] == "/" else str(counts["sent"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-pid", b"%d" % os.getpid())]})
        await send({"type": "http.response.body", "body": body.encode()})
        return
    query = {k: v[0] for k, v in parse_qs(scope["query_string"].decode()).items()}
    assert (await receive())["type"] == "websocket.connect"
    await globals()[scope["path"][len(scope["root_path"]) :].strip("/")](Socket(scope, receive, send), query)


class Socket:
    def __init__(self, scope, receive, send):
        self.scope = scope
        self._receive = receive
        self.send = send

    async def accept(self, **event):
        await self.send({"type": "websocket.accept", **event})

    async def say(self, data):
        await self.send({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})

    async def close(self, **event):
        await self.send({"type": "websocket.close", **event})

    async def receive(self):
        """Returns a message, None at the end."""
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            ended.append((self.scope["path"], event["code"], event["reason"] or "-"))
            return None
        text = event.get("text")
        return event["bytes"] if text is None else text


async def echo(ws, query):
    protocol = ws.scope["subprotocols"][-1] if ws.scope["subprotocols"] else None
    await ws.accept(subprotocol=protocol, headers=[(b"x-pid", b"%d" % os.getpid())])
    while True:
        data = await ws.receive()
        if data is None:
            return
        await ws.say(data)


async def late(ws, query):
    await gate_wait("late")
    await echo(ws, query)


async def scope(ws, query):
    await ws.accept()
    await ws.say(repr(ws.scope))
    await ws.close()


async def close(ws, query):
    await ws.accept()
    await ws.close(code=int(query["code"]), reason=query.get("reason"))
    await ws.receive()
    try:
        await ws.say("late")
    except RuntimeError as e:
        ended.append(("RuntimeError", 0, str(e)))


async def reject(ws, query):
    await ws.close(code=4000)


async def deny(ws, query):
    start = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"no")]}
    await ws.send(start)
    for part in (b"not ", b"you"):
        await ws.send({"type": "websocket.http.response.body", "body": part, "more_body": True})
    await ws.send({"type": "websocket.http.response.body"})


async def before(ws, query):
    """Ends before it has answered."""
    if "raise" in query:
        raise RuntimeError("before")


async def after(ws, query):
    """Ends after it has accepted."""
    await ws.accept()
    if "raise" in query:
        raise RuntimeError("after")


async def lost(ws, query):
    """Sends until the client has gone."""
    await ws.accept()
    try:
        while True:
            await ws.say("x" * 1000)
            await asyncio.sleep(0.01)
    except OSError as e:
        ended.append(("OSError", 0, str(e)))
        raise


async def flood(ws, query):
    """Sends all it can, and counts the bytes."""
    await ws.accept()
    data = bytes(64 << 10)
    try:
        while True:
            await ws.say(data)
            counts["sent"] += len(data)
    except OSError:
        ended.append(("/flood", 0, "-"))


async def deaf(ws, query):
    """Receives nothing until it is told to by a file."""
    await ws.accept()
    while not os.path.exists("listen"):
        await asyncio.sleep(0.02)
    size = 0
    while True:
        data = await ws.receive()
        if data is None:
            return
        if data == b"end":
            await ws.say(str(size))
        size += len(data)


async def stuck(ws, query):
    """Waits for something else, and never hears that the client has gone."""
    await ws.accept()
    await asyncio.sleep(1000)


async def bad(ws, query):
    """Does what cannot be done."""
    await ws.accept(subprotocol="never offered")


async def block(ws, query):
    """Blocks the event loop."""
    await ws.accept()
    await ws.receive()
    time.sleep(60)


async def exit(ws, query):
    await ws.accept()
    await ws.receive()
    os._exit(1)
