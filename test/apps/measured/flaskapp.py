from flask import Flask, Response, request

from . import values

app = Flask(__name__)


@app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@app.route("/<path:path>", methods=["GET", "POST"])
def serve(path):
    return Response(values.count(request.path, request.data), mimetype="text/plain")
