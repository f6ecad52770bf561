"""A Tornado application: /hello, /stream in parts that wait until a file is gone, /count for bodies that are
taken in parts, /chat by WebSocket; others are answered like by echo.py."""

import asyncio
import os

from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler


class Hello(RequestHandler):
    def get(self):
        self.write("hello %s" % self.request.remote_ip)


class Echo(RequestHandler):
    def get(self):
        if self.request.path == "/none":
            self.send_error(404)
            return
        self.write(self.request.path.encode("latin-1") + b"\n" + self.request.body)

    post = get


class Stream(RequestHandler):
    async def get(self):
        for part in ("first", "second"):
            self.write(part)
            await self.flush()
            while os.path.exists(os.path.join(os.environ["GATES"], part)):
                await asyncio.sleep(0.005)


@stream_request_body
class Count(RequestHandler):
    def initialize(self):
        self.parts = self.bytes = 0

    def data_received(self, chunk):
        self.parts += 1
        self.bytes += len(chunk)

    def put(self):
        self.write("%d bytes" % self.bytes)


class Chat(WebSocketHandler):
    def select_subprotocol(self, offered):
        return "chat" if "chat" in offered else None

    def open(self):
        self.write_message("welcome")

    def on_message(self, message):
        if message == "bye":
            self.close(4001, "as you like")
        else:
            self.write_message("you said " + message)

    def on_close(self):
        print("closed with %s" % self.close_code, flush=True)


class Broken(RequestHandler):
    def get(self):
        raise RuntimeError("broken here")


app = Application(
    [
        ("/hello", Hello),
        ("/stream", Stream),
        ("/count", Count),
        ("/chat", Chat),
        ("/broken", Broken),
        (".*", Echo),
    ]
)

# At the import there is no loop that runs; what is left with it runs with the server.
IOLoop.current().add_callback(print, "called from the loop", flush=True)
