import hashlib

from flask import Flask, Response, request, send_file, session
from flask_socketio import SocketIO, emit

import gate

app = Flask(__name__)
app.secret_key = "test"
socketio = SocketIO(app, async_mode="threading", allow_upgrades=False)


@app.get("/")
def index():
    return "%s %s\n" % (request.method, request.host)


@app.post("/hash")
def hash_file():
    digest, length = hashlib.sha256(), 0
    stream = request.files["file"].stream
    for chunk in iter(lambda: stream.read(1 << 16), b""):
        digest.update(chunk)
        length += len(chunk)
    return "%d %s" % (length, digest.hexdigest())


@app.get("/stream")
def stream():
    def parts():
        yield "one\n"
        gate.wait("stream")
        yield "two\n"

    return Response(parts(), mimetype="text/plain")


@app.get("/visits")
def visits():
    session["visits"] = session.get("visits", 0) + 1
    return str(session["visits"])


@app.get("/source")
def source():
    return send_file(__file__, mimetype="text/x-python", conditional=True)


@app.get("/error")
def error():
    raise RuntimeError("an error on purpose")


@socketio.on("echo")
def echo(data):
    emit("echoed", data)
