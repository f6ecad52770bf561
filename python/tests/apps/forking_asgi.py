"""Forks as the query says, in the loop, in a thread, or on the way."""

import asyncio
import os

from forking import run


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("shutdown in", os.getpid(), flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    how = scope["query_string"].decode()
    if how == "silent":
        if os.fork() == 0:
            return
        said = repr(os.WEXITSTATUS(os.wait()[1]))
    elif how == "later":
        await asyncio.sleep(0)
        said = run(how)
    elif how == "awaits":
        said = run(how)
        if said is None:
            await asyncio.sleep(0.01)
            os.write(1, b"went on\n")
    elif how.startswith("thread-"):
        said = await asyncio.get_running_loop().run_in_executor(None, run, how[7:])
    else:
        said = run(how)
    body = ("the child's" if said is None else said).encode()
    if how == "large" and said is None:
        body *= 50000
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
