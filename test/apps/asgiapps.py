"""Apps of ASGI, one behaviour each. Those that wait do so at gates, see gate.py,
without holding up the loop."""

import asyncio
import functools
import os
import threading

import gate


async def gate_wait(name):
    """gate.wait in a thread of its own, whose end wakes the loop."""
    loop = asyncio.get_running_loop()
    passed = loop.create_future()

    def end():
        if not passed.done():
            passed.set_result(None)

    def run():
        gate.wait(name)
        try:
            loop.call_soon_threadsafe(end)
        except RuntimeError:
            pass  # the loop is closed

    threading.Thread(target=run, daemon=True).start()
    await passed


async def start(send, status=200, headers=(), **more):
    await send({"type": "http.response.start", "status": status, "headers": list(headers), **more})


async def body(send, data=b"", more=False):
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def respond(send, data, status=200, headers=()):
    await start(send, status, headers)
    await body(send, data)


async def read(receive):
    """Returns the body of a request and how many parts it came in; None if the client
    has gone."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None, len(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts), len(parts)


def http(app):
    """Makes an app that knows HTTP and nothing else."""

    @functools.wraps(app)
    async def only(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("%s is not for this app" % scope["type"])
        await app(scope, receive, send)

    return only


@http
async def hello(scope, receive, send):
    await respond(send, b"Hello, World!", headers=[(b"content-type", b"text/plain")])


@http
async def echo(scope, receive, send):
    data, _ = await read(receive)
    await respond(send, scope["path"].encode() + b"\n" + data, headers=[(b"content-type", b"text/plain")])


@http
async def scope(scope, receive, send):
    await respond(send, repr(dict(scope, pid=os.getpid())).encode())


@http
async def gated(scope, receive, send):
    """Waits at the gate that the path names, then answers with the pid."""
    await gate_wait(scope["path"].strip("/") or "none")
    await respond(send, b"%d\n" % os.getpid())
