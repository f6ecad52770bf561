"""Sends early hints, then waits at the gate "hints" before it answers."""

import gate


def app(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
    gate.wait("hints")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"answer"]
