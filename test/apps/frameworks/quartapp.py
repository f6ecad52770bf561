import asyncio
import hashlib

from quart import Quart, Response, request, session, websocket

import gate

app = Quart(__name__)
app.secret_key = "test"
app.config["MAX_CONTENT_LENGTH"] = None
app.config["BODY_TIMEOUT"] = None


@app.before_serving
async def begin():
    print("serving begins", flush=True)


@app.after_serving
async def end():
    print("serving ends", flush=True)


@app.get("/")
async def index():
    return "%s %s\n" % (request.method, request.host)


@app.post("/hash")
async def hash_file():
    file = (await request.files)["file"]
    digest, length = hashlib.sha256(), 0
    for chunk in iter(lambda: file.stream.read(1 << 16), b""):
        digest.update(chunk)
        length += len(chunk)
    return "%d %s" % (length, digest.hexdigest())


@app.get("/stream")
async def stream():
    async def parts():
        yield b"one\n"
        await asyncio.to_thread(gate.wait, "stream")
        yield b"two\n"

    return Response(parts(), mimetype="text/plain")


@app.get("/visits")
async def visits():
    session["visits"] = session.get("visits", 0) + 1
    return str(session["visits"])


@app.get("/error")
async def error():
    raise RuntimeError("an error on purpose")


@app.websocket("/echo")
async def echo():
    while True:
        await websocket.send("echo: " + await websocket.receive())
