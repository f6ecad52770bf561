"""What runs in the workers that serve."""

import json

from flask import Flask, Response, jsonify, request

from indrik import pools

app = Flask(__name__)


@app.get("/")
def index():
    return "POST a text to / or to /lines.\n"


@app.post("/")
def detect():
    return jsonify(pools.execute("model:Languages", "detect", request.form["text"]))


@app.post("/lines")
def detect_lines():
    # The response closes the stream when it ends, or when the client has left.
    stream = pools.stream("model:Languages", "detect_lines", request.form["text"])
    response = Response((json.dumps(line) + "\n" for line in stream), mimetype="application/x-ndjson")
    response.call_on_close(stream.close)
    return response


@app.errorhandler(pools.DirtyPoolFullError)
@app.errorhandler(pools.DirtyTimeoutError)
def busy(error):
    return "The model is busy.\n", 503, {"Retry-After": "1"}
