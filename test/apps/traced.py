"""Stays where stacks are taken: at a gate, in a loop, in an await, in a task of its own, in a thread."""

import asyncio
import os
import threading
import time

import gate


def wait_in_code(name):
    gate.wait(name)


def spin_here(name):
    path = os.path.join(os.environ["GATES"], name)
    while os.path.exists(path):
        pass


def app(environ, start_response):
    way, _, name = environ["PATH_INFO"].strip("/").partition("/")
    {"wait": wait_in_code, "spin": spin_here, "sleep": lambda seconds: time.sleep(float(seconds))}.get(way, str)(name)
    body = b"%d %d" % (os.getpid(), threading.get_ident())
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def await_here(name):
    path = os.path.join(os.environ["GATES"], name)
    while os.path.exists(path):
        await asyncio.sleep(0.005)


async def in_a_generator(name):
    yield await await_here(name)


async def through_a_generator(name):
    async for _ in in_a_generator(name):
        pass


async def in_a_task(name):
    await asyncio.wait([asyncio.get_event_loop().create_task(await_here(name))])


async def in_a_thread(name):
    import concurrent.futures
    import contextvars
    import functools

    call = functools.partial(contextvars.copy_context().run, wait_in_code, name)  # as asyncio.to_thread does
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        await asyncio.get_event_loop().run_in_executor(pool, call)


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    way, _, name = scope["path"].strip("/").partition("/")
    if way == "spin":
        spin_here(name)
    elif way in ("await_here", "through_a_generator", "in_a_task", "in_a_thread"):
        await globals()[way](name)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
