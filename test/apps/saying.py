"""Says what the query of a request has as an expression of Python: a list of ASGI's
messages, or what a function of WSGI does with start_response. Without a query it waits
at the gate that the path names."""

import asyncio
import http  # noqa: F401 - for expressions
import io  # noqa: F401
from urllib.parse import unquote

import gate

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}
BODY = {"type": "http.response.body", "body": b"fine"}
ACCEPT = {"type": "websocket.accept"}
DENY = {"type": "websocket.http.response.start", "status": 401, "headers": []}
DENIED = {"type": "websocket.http.response.body", "body": b"denied"}


def head(**fields):
    return dict(HEAD, **fields)


def body(**fields):
    return dict(BODY, **fields)


def accept(**fields):
    return dict(ACCEPT, **fields)


def deny(**fields):
    return dict(DENY, **fields)


def says(kind, **fields):
    return dict(fields, type=kind)


def file():
    return open(__file__, "rb")


class Text(str):
    def __str__(self):
        return 5  # noqa: PLE0307 - what it returns is the test


def value(query):
    return eval(unquote(query), dict(globals()))


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if not scope["query_string"]:
        await asyncio.get_running_loop().run_in_executor(None, gate.wait, scope["path"][1:] or "none")
        await send(HEAD)
        await send(BODY)
        return
    for message in value(scope["query_string"].decode()):
        await send(message)


class Wsgi:
    """The same for WSGI, as wsgi: the expression gets e and start."""

    def __call__(self, environ, start_response):
        if not environ["QUERY_STRING"]:
            gate.wait(environ["PATH_INFO"][1:] or "none")
            start_response("200 OK", [])
            return [b"fine"]
        return eval(unquote(environ["QUERY_STRING"]), dict(globals(), e=environ, start=start_response))


wsgi = Wsgi()
