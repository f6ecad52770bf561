import asyncio
import contextlib
import hashlib
from typing import Annotated

from fastapi import (
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel

import gate

done = []


@contextlib.asynccontextmanager
async def lifespan(app):
    print("lifespan begins", flush=True)
    yield {"greeting": "hello from the lifespan"}
    print("lifespan ends", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/", response_class=PlainTextResponse)
async def index(request: Request):
    return "%s %s\n" % (request.method, request.url.netloc)


@app.post("/hash", response_class=PlainTextResponse)
def hash_file(file: UploadFile):  # in the thread pool
    digest, length = hashlib.sha256(), 0
    for chunk in iter(lambda: file.file.read(1 << 16), b""):
        digest.update(chunk)
        length += len(chunk)
    return "%d %s" % (length, digest.hexdigest())


@app.get("/stream")
async def stream():
    async def parts():
        yield "one\n"
        await asyncio.to_thread(gate.wait, "stream")
        yield "two\n"

    return StreamingResponse(parts(), media_type="text/plain")


@app.get("/visits", response_class=PlainTextResponse)
async def visits(response: Response, visits: Annotated[int, Cookie()] = 0):
    response.set_cookie("visits", str(visits + 1))
    return str(visits + 1)


@app.get("/error")
async def error():
    raise RuntimeError("an error on purpose")


@app.get("/state", response_class=PlainTextResponse)
async def state(request: Request):
    return request.state.greeting


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


@app.put("/items/{number}", status_code=201)
async def item(number: int, item: Item, q: str = ""):
    return {"number": number, "item": item, "q": q}


async def resource(name: str):
    """A dependency that is given back after the response."""
    try:
        yield "resource " + name
    finally:
        done.append("closed " + name)


@app.get("/resource", response_class=PlainTextResponse)
async def use(resource: Annotated[str, Depends(resource)]):
    return resource


@app.post("/background", response_class=PlainTextResponse, status_code=202)
async def background(name: str, tasks: BackgroundTasks):
    def work():
        gate.wait("background")
        done.append(name)

    tasks.add_task(work)
    return "accepted"


@app.get("/done")
async def what_is_done():
    return done


@app.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text("echo: " + await websocket.receive_text())
    except WebSocketDisconnect:
        done.append("left")
