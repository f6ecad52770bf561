"""A benchmark of what an ASGI worker does for a request, in the form of `go test
-bench`: messages come from memory, many at a time as under load, and answers go
nowhere. It uses uvloop if that is there. As in worker.py it is processor time.
"""

import asyncio
import marshal
import time

from worker import ROUNDS, Config, Worker, speeds, text, together  # isort: skip - it makes indrik importable
from indrik import asgi, asgispeed, protocol

AT_A_TIME = 64
IN_MESSAGE = 8
TURNS = 300


async def app(scope, receive, send):
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"14")],
        }
    )
    await send({"type": "http.response.body", "body": b"Hello, World!\n"})


class Memory:
    """A socket without system calls."""

    def __init__(self):
        self.messages = []

    def recvmsg_into(self, buffers, ancillary, flags):
        if not self.messages:
            raise BlockingIOError
        message = self.messages.pop()
        buffers[0][: len(message)] = message
        return len(message), [], 0, None

    def send(self, data):
        return len(data)


def message_of(number):
    """A request as the front encodes it."""
    rest = marshal.dumps(
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1"), (b"user-agent", b"bench"), (b"accept", b"*/*")],
            "server": ("127.0.0.1", 8000),
            "extensions": {
                "http.response.pathsend": {},
                "http.response.zerocopysend": {},
                "http.response.early_hint": {},
            },
        },
        2,
    )
    client = b"(\2\0\0\0" + text("127.0.0.1") + marshal.dumps(40000, 2)
    scope = (
        b"(\6\0\0\0"
        + marshal.dumps(rest, 2)
        + text("GET")
        + text("/")
        + marshal.dumps(b"/", 2)
        + marshal.dumps(b"", 2)
        + client
    )
    return (
        b"(\4\0\0\0"
        + marshal.dumps(protocol.EVENT_REQUEST, 2)
        + marshal.dumps(number, 2)
        + scope
        + marshal.dumps(b"", 2)
    )


def server_of(speed):
    worker = Worker(None, Memory())
    worker.speed = speed
    worker.wsgi = app
    worker.cfg = Config(asgi_lifespan="off")
    worker.cfg.hooks = None
    worker.stopping = False
    worker.loop = None
    worker.scoreboard[protocol.SCOREBOARD_FRONT] = 1
    server = asgispeed.server(worker) if speed else asgi.ASGIServer(worker)
    server.start()
    server.limit = worker.limit
    return server


def main():
    requests = [message_of(number) for number in range(1, AT_A_TIME + 1)]
    messages = [together(requests[i : i + IN_MESSAGE]) for i in range(0, AT_A_TIME, IN_MESSAGE)]
    servers = [(server_of(speed), suffix) for speed, suffix in speeds()]

    async def turn():
        await asyncio.sleep(0)

    for server, suffix in servers * ROUNDS:
        spent = 0.0
        for _ in range(TURNS):
            server.sock.messages = messages.copy()
            begun = time.process_time()
            server.read()
            while server.requests:
                server.loop.run_until_complete(turn())
            spent += time.process_time() - begun
        count = AT_A_TIME * TURNS
        assert server.worker.nr % count == 0, "a request was not answered"
        print("BenchmarkASGIWorker%s \t%8d\t%10.1f ns/op" % (suffix, count, spent / count * 1e9))


if __name__ == "__main__":
    main()
