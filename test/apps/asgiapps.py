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


@http
async def streaming(scope, receive, send):
    """Sends one part, waits at the gate that the path names, sends another."""
    await start(send, headers=[(b"content-type", b"text/event-stream")])
    await body(send, b"first", more=True)
    await gate_wait(scope["path"].strip("/") or "none")
    await body(send, b"second", more=True)
    await body(send)


@http
async def reactions(scope, receive, send):
    """Answers in the way that the path names."""
    await globals()["react_" + scope["path"].strip("/")](scope, receive, send)


async def react_(scope, receive, send):
    await respond(send, b"ok")


async def react_whole_large(scope, receive, send):
    await respond(send, b"0123456789" * 500_000)


async def react_head_only(scope, receive, send):
    await start(send, headers=[(b"content-length", b"5")])
    await body(send)


async def react_no_content(scope, receive, send):
    await respond(send, b"", status=204)


async def react_odd_types(scope, receive, send):
    import http as standard

    await send(
        {
            "type": "http.response.start",
            "status": standard.HTTPStatus.CREATED,
            "headers": (pair for pair in [(b"x-a", b"1"), [b"x-b", b"2"]]),
        }
    )
    await send({"type": "http.response.body", "body": bytearray(b"bytearray,"), "more_body": True})
    await send({"type": "http.response.body", "body": memoryview(b"memoryview")})


async def react_trailers(scope, receive, send):
    if "http.response.trailers" not in scope["extensions"]:
        await respond(send, b"no trailers")
        return
    await start(send, headers=[(b"trailer", b"x-sum, x-more")], trailers=True)
    await body(send, b"data", more=True)
    await body(send, b"more")
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"8")], "more_trailers": True})
    await send({"type": "http.response.trailers", "headers": [(b"x-more", b"yes")]})


async def react_bad_trailers(scope, receive, send):
    await start(send, trailers=True)
    await body(send, b"data")
    await send({"type": "http.response.trailers", "headers": [(b"content-length", b"8")]})


async def react_path(scope, receive, send):
    await start(send, headers=[(b"content-type", b"text/x-python")])
    await send({"type": "http.response.pathsend", "path": __file__})


async def react_no_path(scope, receive, send):
    await start(send)
    try:
        await send({"type": "http.response.pathsend", "path": __file__ + ".none"})
    except FileNotFoundError:
        await body(send, b"there is no such file")


async def react_zerocopy(scope, receive, send):
    with open(os.path.join(os.environ["GATES"], "..", "data"), "rb") as f:
        await start(send)
        await body(send, b"<", more=True)
        await send({"type": "http.response.zerocopysend", "file": f, "count": 3, "more_body": True})
        await send({"type": "http.response.zerocopysend", "file": f.fileno(), "count": 2, "more_body": True})
        await send({"type": "http.response.zerocopysend", "file": f, "offset": 8, "more_body": True})
        await body(send, b">")


async def react_zerocopy_whole(scope, receive, send):
    with open(os.path.join(os.environ["GATES"], "..", "data"), "rb") as f:
        await start(send)
        await send({"type": "http.response.zerocopysend", "file": f, "offset": 2})


async def react_hints(scope, receive, send):
    await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
    await start(send)
    await send({"type": "http.response.early_hint", "links": [b"</b.css>; rel=preload"]})
    await body(send, b"hinted", more=True)
    await send({"type": "http.response.early_hint", "links": [b"</c.css>; rel=preload"]})
    await body(send)


async def react_after_end(scope, receive, send):
    await respond(send, b"end")
    await body(send, b"ignored")
    message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()
    print("after the end: %s" % message["type"], flush=True)


async def react_raise(scope, receive, send):
    raise ValueError("raised before the start")


async def react_raise_after_start(scope, receive, send):
    await start(send)
    raise ValueError("raised after the start")


async def react_raise_in_body(scope, receive, send):
    await start(send)
    await body(send, b"some", more=True)
    raise ValueError("raised in the body")


async def react_exit(scope, receive, send):
    raise SystemExit(7)


async def react_return(scope, receive, send):
    pass


async def react_return_after_start(scope, receive, send):
    await start(send)


async def react_return_in_body(scope, receive, send):
    await start(send)
    await body(send, b"some", more=True)


async def react_bad_header(scope, receive, send):
    await respond(send, b"", headers=[(b"x", b"a\r\nset-cookie: b")])


async def react_text_header(scope, receive, send):
    await respond(send, b"", headers=[("x", 1)])


async def react_text_body(scope, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": "text"})


async def react_bad_status(scope, receive, send):
    await start(send, status=42)


async def react_twice(scope, receive, send):
    await start(send)
    await start(send)


async def react_body_first(scope, receive, send):
    await body(send, b"x")


async def react_cancelled(scope, receive, send):
    raise asyncio.CancelledError


@http
async def uploads(scope, receive, send):
    """Reads a body as the path says: all, at a gate, in part, or not at all."""
    way = scope["path"].strip("/")
    if way == "parts":
        data, parts = await read(receive)
        await respond(send, b"%d bytes in %d parts" % (len(data), parts))
    elif way == "slowly":
        size = 0
        await gate_wait("slowly")
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                print("the client has gone after %d bytes" % size, flush=True)
                return
            if not size:
                print("%d bytes have come" % len(message["body"]), flush=True)
            size += len(message["body"])
            if not message["more_body"]:
                break
        await respond(send, b"%d bytes" % size)
    elif way == "echo":
        await start(send)
        while True:
            message = await receive()
            await body(send, message["body"], more=message["more_body"])
            if not message["more_body"]:
                break
    elif way == "some":
        message = await receive()
        await respond(send, b"enough: %r" % message["more_body"], status=413)
    else:
        await respond(send, b"not wanted", status=401)


@http
async def leaving(scope, receive, send):
    """Tells the log how it hears that its client has gone."""
    way = scope["path"].strip("/")
    try:
        if way == "receive":
            while True:
                message = await receive()
                print("receive %s" % message["type"], flush=True)
                if message["type"] == "http.disconnect":
                    break
            await receive()
            print("receive again", flush=True)
            await start(send)
        elif way == "send":
            await start(send)
            await body(send, b"first", more=True)
            while True:
                await body(send, b"more", more=True)
                await asyncio.sleep(0.01)
        elif way == "wrapped":
            await start(send)
            try:
                while True:
                    await body(send, b"more", more=True)
                    await asyncio.sleep(0.01)
            except OSError:
                raise LookupError("an error of the framework") from None
        elif way == "sleep":
            await start(send)
            await body(send, b"first", more=True)
            await asyncio.sleep(100)
        elif way == "order":
            # What is paid for while the client goes through a tunnel.
            print("ordering", flush=True)
            await gate_wait("order")
            await respond(send, b"ordered")
            await asyncio.sleep(0)
            print("order: committed", flush=True)
        elif way == "silent":
            print("silent", flush=True)
            await asyncio.sleep(100)
        elif way == "stubborn":
            await start(send)
            await body(send, b"first", more=True)
            for _ in range(3):
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    print("cancelled, and going on", flush=True)
                    break
        else:
            await respond(send, b"ok")
    except OSError as e:
        print("%s: %s" % (way, type(e).__name__), flush=True)
        raise
    except asyncio.CancelledError:
        print("%s: cancelled" % way, flush=True)
        raise


@http
async def loops(scope, receive, send):
    """Tells of the loop, or blocks it."""
    import time

    path = scope["path"].strip("/")
    if path == "block":
        print("blocking", flush=True)
        block_here(time.sleep)
    elif path == "hold":
        await start(send)
        await body(send, b"held", more=True)
        await asyncio.sleep(1000)
    elif path == "wait":
        gate.wait("loop")
    elif path == "lag":
        time.sleep(1.5)
    loop = asyncio.get_running_loop()
    await respond(send, ("%s %s" % (type(loop).__module__, os.getpid())).encode())


async def either(scope, receive, send):
    """Is loops for /wait, and echo for all else."""
    await (loops if scope["path"] == "/wait" else echo)(scope, receive, send)


def block_here(sleep):
    sleep(1000)


class Slotted:
    """Keeps what is called in an attribute, as some middleware does."""

    __slots__ = ("__call__", "app")

    def __init__(self, app):
        self.app = app
        self.__call__ = self.run

    async def run(self, scope, receive, send):
        await self.app(scope, receive, send)


slotted = Slotted(hello)


def create_app(debug=False):
    return hello


def configured(config):
    return hello


def anything(*args):
    return hello(*args)
