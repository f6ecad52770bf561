import asyncio
import contextlib
import hashlib
import json

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

import gate


@contextlib.asynccontextmanager
async def lifespan(app):
    print("lifespan begins", flush=True)
    yield {"greeting": "hello from the lifespan", "done": []}
    print("lifespan ends", flush=True)


async def index(request):
    return PlainTextResponse("%s %s\n" % (request.method, request.url.netloc))


async def hash_file(request):
    async with request.form() as form:
        digest, length = hashlib.sha256(), 0
        while True:
            chunk = await form["file"].read(1 << 16)
            if not chunk:
                return PlainTextResponse("%d %s" % (length, digest.hexdigest()))
            digest.update(chunk)
            length += len(chunk)


async def raw_hash(request):
    digest, length = hashlib.sha256(), 0
    async for chunk in request.stream():
        digest.update(chunk)
        length += len(chunk)
    return PlainTextResponse("%d %s" % (length, digest.hexdigest()))


async def stream(request):
    async def parts():
        yield "one\n"
        await asyncio.to_thread(gate.wait, "stream")
        yield "two\n"

    return StreamingResponse(parts(), media_type="text/plain")


async def events(request):
    async def parts():
        for n in range(3):
            yield "id: %d\ndata: event %d\n\n" % (n, n)
            await asyncio.to_thread(gate.wait, "event%d" % n)

    return StreamingResponse(parts(), media_type="text/event-stream")


async def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return PlainTextResponse(str(request.session["visits"]))


async def error(request):
    raise RuntimeError("an error on purpose")


async def state(request):
    return PlainTextResponse(request.state.greeting)


async def background(request):
    async def work():
        await asyncio.to_thread(gate.wait, "background")
        request.state.done.append(request.query_params["name"])

    return PlainTextResponse("accepted", 202, background=BackgroundTask(work))


async def done(request):
    return JSONResponse(request.state.done)


async def long(request):
    return PlainTextResponse("a line of a long text\n" * 1000)


async def source(request):
    return FileResponse(__file__)


class Chat(WebSocketEndpoint):
    encoding = "json"
    members = set()

    async def on_connect(self, websocket):
        await websocket.accept()
        self.members.add(websocket)

    async def on_receive(self, websocket, data):
        for member in self.members:
            await member.send_text(json.dumps({"said": data, "members": len(self.members)}))

    async def on_disconnect(self, websocket, close_code):
        self.members.discard(websocket)


app = Starlette(
    routes=[
        Route("/", index),
        Route("/hash", hash_file, methods=["POST"]),
        Route("/raw", raw_hash, methods=["POST"]),
        Route("/stream", stream),
        Route("/events", events),
        Route("/visits", visits),
        Route("/error", error),
        Route("/state", state),
        Route("/background", background, methods=["POST"]),
        Route("/done", done),
        Route("/long", long),
        Route("/source", source),
        WebSocketRoute("/chat", Chat),
        Mount("/files", StaticFiles(directory=__file__.rpartition("/")[0])),
    ],
    middleware=[Middleware(GZipMiddleware), Middleware(SessionMiddleware, secret_key="test", https_only=False)],
    lifespan=lifespan,
)
