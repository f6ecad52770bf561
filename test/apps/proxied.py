"""An app behind a proxy: who its client is, a stream that waits at a gate, an echo, and a
WebSocket that echoes."""

import asyncio

import gate
import lifespan


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan.follow(receive, send)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": event["text"]})
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/who":
        text = "%s %s" % (scope["client"][0], scope["scheme"])
        await send({"type": "http.response.body", "body": text.encode()})
    elif scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.get_running_loop().run_in_executor(None, gate.wait, "stream")
        await send({"type": "http.response.body", "body": b"second"})
    else:
        while True:
            event = await receive()
            await send(
                {
                    "type": "http.response.body",
                    "body": event.get("body", b""),
                    "more_body": event.get("more_body", False),
                }
            )
            if not event.get("more_body"):
                return
