"""Responses of all the kinds that ASGI and its extensions have, and tasks that send together."""

import asyncio

from asgi_base import body, hello, serving, start


async def changed(scope, receive, send):
    headers = [[b"a", b"b"], (b"c", b"d")]
    await start(send, headers=headers)
    headers[0][1] = "changed"
    headers.pop()
    await body(send, b"x")


async def path(scope, receive, send):
    await start(send)
    await send({"type": "http.response.pathsend", "path": "/etc/passwd"})


async def file(scope, receive, send):
    await start(send)
    await send({"type": "http.response.pathsend", "path": scope["query_string"].decode()})


async def parts(scope, receive, send):
    with open("/etc/passwd", "rb") as f:
        await start(send)
        await send({"type": "http.response.zerocopysend", "file": f, "count": 5, "more_body": True})
        await send({"type": "http.response.zerocopysend", "file": f, "count": 5})


async def trailers(scope, receive, send):
    await start(send, trailers=True)
    await body(send, b"data")
    await send({"type": "http.response.trailers", "headers": [(b"x", b"y")]})


async def hints(scope, receive, send):
    await send({"type": "http.response.early_hint", "links": [b"</a>"]})
    await hello(scope, receive, send)


async def much(scope, receive, send):
    await start(send)
    for i in range(20):
        await body(send, bytes(50000), True)
        print("sent %d" % i, flush=True)
    await body(send)


async def huge(scope, receive, send):
    await start(send)
    await body(send, bytes(int(scope["query_string"])))


async def impatient(scope, receive, send):
    async def answer():
        await start(send)
        await body(send, bytes(100000))

    impatient.task = asyncio.ensure_future(answer())
    try:
        await impatient.task
    except asyncio.CancelledError:
        await body(send, b"gave up")


async def impatience(scope, receive, send):
    """Cancels what /impatient waits for."""
    impatient.task.cancel()
    await hello(scope, receive, send)


async def together(scope, receive, send):
    await start(send)
    await asyncio.gather(*[body(send, data, True) for data in (b"a" * 600000, b"b" * 100000, b"c")], body(send, b"d"))


async def halving(scope, receive, send):
    await start(send)
    try:
        await asyncio.wait_for(body(send, bytes(600000), True), 0.1)
    except asyncio.TimeoutError:
        await body(send, b"tail")


async def abandoning(scope, receive, send):
    async def answer():
        try:
            await body(send, bytes(600000), True)
        except OSError:
            print("nobody waits for it", flush=True)

    await start(send)
    abandoning.task = asyncio.ensure_future(answer())
    await asyncio.sleep(0.1)


app = serving(
    changed, path, file, parts, trailers, hints, much, huge, impatient, impatience, together, halving, abandoning
)
