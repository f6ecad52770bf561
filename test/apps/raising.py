"""An app whose lifespan raises at a request to /raise."""

import asyncio

from lifespans import respond

raises = None


async def app(scope, receive, send):
    global raises
    if scope["type"] == "lifespan":
        raises = asyncio.Event()
        await receive()
        await send({"type": "lifespan.startup.complete"})
        stop = asyncio.ensure_future(receive())
        await asyncio.wait([stop, asyncio.ensure_future(raises.wait())], return_when=asyncio.FIRST_COMPLETED)
        raise LookupError("in the background")
    if scope["path"] == "/raise":
        raises.set()
    await respond(send, b"served")
