"""Apps beside a thread that never ends."""

import multiprocessing  # noqa: F401 (what it does at exit must not wait for the thread)
import threading
import time

threading.Thread(target=time.sleep, args=(100,), name="endless").start()


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"x"]


async def coroutine(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("shutdown", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})
