from flask import Flask, Response, request

from . import values

app = Flask(__name__)


@app.get("/", defaults={"path": ""})
@app.get("/<path:path>")
def serve(path):
    return Response(values.count(request.path), mimetype="text/plain")
