"""Threads and processes that end when the gate is opened, or never."""

import multiprocessing
import os
import threading
import time

gate = os.environ["GATE"]
fork = multiprocessing.get_context("fork")


def run(name):
    if gate == "never":
        time.sleep(1000)
    with open(gate) as f:
        f.read()
    print("finished", name, flush=True)


def begin(kind):
    if kind == "process":
        fork.Process(target=run, args=(kind,), name="job").start()
    else:
        threading.Thread(target=run, args=(kind,), name="job").start()


for kind in os.environ.get("EARLY", "").split():
    begin(kind)


def wsgi(environ, start_response):
    begin("thread")
    start_response("200 OK", [])
    return [b"begun"]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("shutdown", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    begin("thread")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun"})
