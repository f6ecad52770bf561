"""An app whose answers say which version they come from, with streams that wait at gates,
and the WebSockets of sockets.py."""

import sockets
from asgiapps import body, gate_wait, read, respond, start


def asgi(version):
    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            return await sockets.app(scope, receive, send)
        if scope["type"] != "http":
            raise RuntimeError
        path = scope["path"]
        if path == "/version":
            await respond(send, version.encode())
        elif path.startswith("/stream/"):
            await start(send)
            await body(send, version.encode(), more=True)
            await gate_wait(path[8:])
            await body(send, version.encode())
        else:
            data, _ = await read(receive)
            await respond(send, path.encode() + b"\n" + data)

    return app
