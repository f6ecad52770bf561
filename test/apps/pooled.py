"""Calls of pools by WSGI (app) and by ASGI (asgi), and the app of the pool (Pooled).

A call is the JSON body of a POST to /call or /stream: action, args, kwargs, timeout, app; for
/stash: op, args. The answer is its result, or what is known of its error; bytes are shown as
their length and a digest.
"""

import asyncio
import hashlib
import json
import os
import sys
import time

import gate
from indrik import pools

NAME = "pooled:Pooled"


class Pooled(pools.DirtyApp):
    stashes = ("declared",)

    async def init(self):
        self.pid = os.getpid()

    def who(self):
        return self.pid

    def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    def blob(self, size):
        return b"0123456789abcdef" * (size // 16)

    def digest(self, data):
        return hashlib.sha256(data).hexdigest()

    def blob_digest(self, size):
        return pools.execute(NAME, "digest", self.blob(size))

    def fail(self):
        raise ValueError("on purpose")

    def unfit(self):
        return {"a": [{1}]}

    def leave(self):
        sys.exit(3)

    def wait(self, name):
        gate.wait(name)
        return self.pid

    def watch(self):
        say("watching")
        while not pools.cancelled():
            time.sleep(0.005)
        say("watched")

    async def hang(self):
        try:
            say("hanging")
            await asyncio.Event().wait()
        finally:
            say("hung")

    def nested(self):
        return [self.pid, pools.execute(NAME, "who")]

    def environment(self, name):
        return os.environ.get(name)

    def parts(self, count, size):
        made = 0
        try:
            while made < count:
                made += 1
                note(made)
                yield "x" * size
        finally:
            say("parts ended after %d" % made)

    async def parts_async(self, count, size):
        made = 0
        try:
            while made < count:
                made += 1
                note(made)
                yield "x" * size
        finally:
            say("parts ended after %d" % made)

    async def pause(self):
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            say("pause ended")

    def parts_failing(self):
        yield "first"
        raise ValueError("in the middle")


def say(text):
    print(text, flush=True)


def note(made):
    """Tells how many parts have been made."""
    with open("made.new", "w") as f:
        f.write(str(made))
    os.rename("made.new", "made")


def shown(value):
    if isinstance(value, bytes):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    raise TypeError(type(value))


def answer(value):
    return json.dumps({"result": value}, default=shown).encode()


def error(e):
    told = {"error": type(e).__name__, "message": e.message, "details": e.details, "took": time.monotonic() - e.began}
    return json.dumps(told).encode()


def ordered(body):
    """Returns the client for a call, and the arguments of its methods."""
    order = json.loads(body)
    client = pools.DirtyClient(order.get("timeout"))
    args = (order.get("app", NAME), order["action"], *order.get("args", ()))
    return client, args, order.get("kwargs", {})


def stashed(body, form=""):
    order = json.loads(body)
    return getattr(pools.stash, order["op"] + form)(*(order.get("args") or ()))


def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/":
        return [b"hello"]
    began = time.monotonic()
    try:
        if path == "/stash":
            return [answer(stashed(body))]
        client, args, kwargs = ordered(body)
        if path == "/stream":
            return streamed(client.stream(*args, **kwargs))
        return [answer(client.execute(*args, **kwargs))]
    except pools.DirtyError as e:
        e.began = began
        return [error(e)]


class streamed:
    """What a server closes when the client has left."""

    def __init__(self, stream):
        self.stream = stream
        self.close = stream.close

    def __iter__(self):
        return (part.encode() for part in self.stream)


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/stream":
        return await stream_to(body, receive, send)
    await send({"type": "http.response.body", "body": await called(scope["path"], body)})


async def called(path, body):
    if path == "/":
        return b"hello"
    began = time.monotonic()
    try:
        if path == "/stash":
            return answer(await stashed(body, "_async"))
        client, args, kwargs = ordered(body)
        return answer(await client.execute_async(*args, **kwargs))
    except pools.DirtyError as e:
        e.began = began
        return error(e)


async def stream_to(body, receive, send):
    """Streams until the end, or until the client has left."""
    client, args, kwargs = ordered(body)

    async def work():
        async for part in client.stream_async(*args, **kwargs):
            await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def gone():
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(work()), asyncio.ensure_future(gone())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
