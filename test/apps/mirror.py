"""Answers with the method and the body of a request, as JSON."""

import json


def app(environ, start_response):
    seen = [environ["REQUEST_METHOD"], environ["wsgi.input"].read().decode("latin-1")]
    body = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
