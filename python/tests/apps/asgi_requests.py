"""Answers with what came of the request, with the state of the lifespan, or not at all."""

import asyncio
import logging

from asgi_base import body, hello, left, serving, start
from indrik.protocol import SCOREBOARD_TURN


async def read(scope, receive, send):
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(len(message["body"]))
        more = message["more_body"]
    await start(send)
    await body(send, repr(parts).encode())


async def state(scope, receive, send):
    scope["state"]["own"] = 1
    scope["state"]["shared"].append(1)
    await start(send)
    await body(send, repr(scope["state"]).encode())


async def error(scope, receive, send):
    raise ValueError("an error")


async def uvicorns_loggers(scope, receive, send):
    logging.getLogger("uvicorn.error").info("said to uvicorn.%s", "error")
    logging.getLogger("uvicorn").warning("said to uvicorn")
    logging.getLogger("uvicorn.error").debug("not said")
    logging.getLogger("uvicorn.access").info("said to the access log")
    try:
        raise KeyError("kept")
    except KeyError:
        logging.getLogger("uvicorn.error").exception("an exception")
    await hello(scope, receive, send)


async def wait(scope, receive, send):
    await start(send)
    await body(send, b"begun", True)
    await left(receive)
    print("left", flush=True)


async def turn(scope, receive, send):
    """Answers with what the worker tells the front of its loop at this moment, and later."""
    scoreboard = send.__self__.server.scoreboard
    first = scoreboard[SCOREBOARD_TURN]
    await asyncio.sleep(0.01)
    await start(send)
    await body(send, b"%d then %d" % (first, scoreboard[SCOREBOARD_TURN]))


async def sleep(scope, receive, send):
    print("sleeping", flush=True)
    await asyncio.sleep(1000)


app = serving(read, state, error, uvicorns_loggers, wait, turn, sleep, hello)
