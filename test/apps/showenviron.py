"""Answers with the environ, as JSON; what is not text, number or flag is shown by its type."""

import json


def show(value):
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, tuple):
        return list(value)
    return "<%s>" % type(value).__name__


def app(environ, start_response):
    body = json.dumps({key: show(value) for key, value in environ.items()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
