"""An app whose lifespan has tasks that raise with the first request."""

import asyncio

from lifespans import respond


async def wait(name):
    await raises.wait()
    raise LookupError(name)


async def app(scope, receive, send):
    global raises, tasks, both, caught
    if scope["type"] == "lifespan":
        raises = asyncio.Event()
        await receive()
        tasks = [asyncio.ensure_future(wait(name)) for name in ("alone", "awaited", "gathered")]
        both = asyncio.gather(tasks[2], return_exceptions=True)
        caught = asyncio.ensure_future(catch(tasks[1]))
        await asyncio.sleep(0)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    raises.set()
    await respond(send, b"served")


async def catch(task):
    try:
        await task
    except LookupError:
        print("caught", flush=True)
