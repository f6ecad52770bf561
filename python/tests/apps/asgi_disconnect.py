"""What apps do when their client has gone."""

import asyncio

from asgi_base import body, hello, left, serving, start


async def wait(scope, receive, send):
    await start(send)
    await body(send, b"begun", True)
    await left(receive)
    print("left", flush=True)


async def sleep(scope, receive, send):
    print("sleeping", flush=True)
    await asyncio.sleep(1000)


async def ordering(scope, receive, send):
    print("begun /ordering", flush=True)
    await left(receive)
    await asyncio.sleep(0.05)
    try:
        await start(send)
        await body(send, b"ordered")
    except OSError as e:
        print("rolled back: " + type(e).__name__, flush=True)
        raise
    print("committed", flush=True)


async def streaming(scope, receive, send):
    await start(send)
    await body(send, b"first", True)
    print("begun /streaming", flush=True)
    await left(receive)
    for _ in range(100):
        await body(send, bytes(100000), True)
    await body(send)
    print("streamed", flush=True)


async def trailers_late(scope, receive, send):
    await start(send, trailers=True)
    await body(send, b"data", True)
    print("begun /trailers_late", flush=True)
    await left(receive)
    await body(send)
    await send({"type": "http.response.trailers", "headers": [(b"x", b"y")]})
    print("trailers sent", flush=True)


async def file_late(scope, receive, send):
    await start(send)
    await body(send, b"data", True)
    print("begun /file_late", flush=True)
    await left(receive)
    with open("/etc/passwd", "rb") as f:
        await send({"type": "http.response.zerocopysend", "file": f, "count": 5})
    print("file sent", flush=True)


async def spinning(scope, receive, send):
    await start(send)
    await body(send, b"first", True)
    print("begun /spinning", flush=True)
    await left(receive)
    other = asyncio.ensure_future(asyncio.sleep(0))
    while not other.done():
        await body(send, b"x", True)
    print("another task came in", flush=True)
    await body(send)


async def background(scope, receive, send):
    print("begun /background", flush=True)
    await left(receive)
    background.enough = asyncio.Event()
    await start(send)
    await body(send, b"x")
    await background.enough.wait()
    print("background is done", flush=True)


async def enough(scope, receive, send):
    background.enough.set()
    await hello(scope, receive, send)


app = serving(wait, sleep, ordering, streaming, trailers_late, file_late, spinning, background, enough)
