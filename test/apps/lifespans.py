"""Apps of ASGI that know the lifespan protocol, each in its way. They write what
happens to the log."""

import asyncio
import os

from asgiapps import body, gate_wait, respond, start


def lifespan(startup, shutdown=None):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await startup(scope, send)
            message = await receive()
            print("%s in %d" % (message["type"], os.getpid()), flush=True)
            if shutdown:
                await shutdown(scope, send)
            await send({"type": "lifespan.shutdown.complete"})
            print("after the shutdown", flush=True)
            return
        await gate_wait(scope["path"].strip("/") or "none")
        state = scope["state"]
        seen = dict(state)
        state["added"] = "by a request"
        if "list" in state:
            state["list"].append(len(state["list"]))
        await respond(send, repr(seen).encode())

    return app


async def complete(scope, send):
    scope["state"]["shared"] = "value"
    scope["state"]["list"] = []
    print("started in %d" % os.getpid(), flush=True)
    await send({"type": "lifespan.startup.complete"})


async def failed(scope, send):
    await send({"type": "lifespan.startup.failed", "message": "the database is away"})


async def raising(scope, send):
    raise ValueError("raised at the startup")


async def slow(scope, send):
    await gate_wait("shutdown")


async def endless(scope, send):
    print("endless", flush=True)
    await asyncio.sleep(1000)


async def failing_shutdown(scope, send):
    await send({"type": "lifespan.shutdown.failed", "message": "not all was written"})
    raise RuntimeError("over")


app = lifespan(complete)
fails = lifespan(failed)
raises = lifespan(raising)
slow_shutdown = lifespan(complete, slow)
endless_shutdown = lifespan(complete, endless)
fails_shutdown = lifespan(complete, failing_shutdown)


async def lingering(scope, receive, send):
    """Its requests never end: not the streams, nor what comes after a response."""
    if scope["type"] == "lifespan":
        await app(scope, receive, send)
        return
    await start(send)
    await body(send, b"begun", more=scope["path"] == "/stream")
    try:
        await asyncio.sleep(1000)
    finally:
        print("%s cancelled" % scope["path"], flush=True)


async def returning(scope, receive, send):
    if scope["type"] == "http":
        await respond(send, b"served")


class Double:
    """As ASGI 2 has it."""

    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        if self.scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await respond(send, b"served, too")


def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"WSGI"]
