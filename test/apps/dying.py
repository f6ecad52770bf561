"""An app whose worker can be killed while a request waits, streams or blocks."""

import os
import time

from asgiapps import body, gate_wait, respond, start


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    if scope["path"] == "/wait":
        await gate_wait("wait")
    elif scope["path"] == "/stream":
        await start(send)
        await body(send, b"first", more=True)
        await gate_wait("wait")
    elif scope["path"] == "/block":
        print("blocking", flush=True)
        time.sleep(1000)
    await respond(send, b"%d" % os.getpid())
