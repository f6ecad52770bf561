"""Reads what clients send with the parsers of other servers: gunicorn, h11 and
uvicorn with httptools.

Gets a list of strings as JSON, one for each connection, a character for each byte.
For each of them it prints, by the name of the server, which requests it has read,
as method and body, and whether it refused what came then.
"""

import asyncio
import json
import logging
import sys

import gunicorn.config
import gunicorn.http
import gunicorn.http.errors
import h11
import uvicorn
from uvicorn.server import ServerState


def by_gunicorn(data):
    seen = []
    parser = gunicorn.http.RequestParser(CONFIG, iter([data]), ("127.0.0.1", 1))
    try:
        for request in parser:
            seen.append([request.method, request.body.read().decode("latin-1")])
            if request.should_close():
                break
    except (gunicorn.http.errors.NoMoreData, StopIteration):
        return seen, False
    except (gunicorn.http.errors.ParseException, OSError):
        return seen, True
    return seen, False


CONFIG = gunicorn.config.Config()
logging.disable()


def by_h11(data):
    seen = []
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if type(event) is h11.Request:
                method, body = event.method.decode(), b""
            elif type(event) is h11.Data:
                body += bytes(event.data)
            elif type(event) is h11.EndOfMessage:
                seen.append([method, body.decode("latin-1")])
                connection.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return seen, False
                connection.start_next_cycle()
            else:
                return seen, False  # it waits for more
    except h11.RemoteProtocolError:
        return seen, True


class Transport(asyncio.Transport):
    closed = False

    def __init__(self):
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def pause_reading(self):
        pass

    resume_reading = set_write_buffer_limits = pause_reading


async def by_uvicorn(data):
    seen = []

    async def app(scope, receive, send):
        body = b""
        while True:
            event = await receive()
            if event["type"] != "http.request":
                return
            body += event["body"]
            if not event["more_body"]:
                break
        seen.append([scope["method"], body.decode("latin-1")])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    config = uvicorn.Config(app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    protocol = config.http_protocol_class(config=config, server_state=ServerState(), app_state={})
    transport = Transport()
    protocol.connection_made(transport)
    protocol.data_received(data)
    for _ in range(20):
        await asyncio.sleep(0)
    refused = b"HTTP/1.1 400 " in transport.written
    protocol.connection_lost(None)
    await asyncio.sleep(0)
    return seen, refused


async def main():
    for text in json.load(sys.stdin):
        data = text.encode("latin-1")
        result = {"gunicorn": by_gunicorn(data), "h11": by_h11(data), "uvicorn": await by_uvicorn(data)}
        print(json.dumps({name: {"seen": seen, "refused": refused} for name, (seen, refused) in result.items()}))


asyncio.run(main())
