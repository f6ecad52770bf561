"""Yields one part, waits at the gate "second", yields another."""

import gate


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first"
    gate.wait("second")
    yield b""
    yield b"second"


def writing(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"first")
    gate.wait("second")
    write(b"second")
    return []
