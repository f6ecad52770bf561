"""hello.py as a Tornado application."""

import asyncio

from tornado.web import Application, RequestHandler

from hello import HELLO, LONG_SLEEP_SECONDS, SLEEP_SECONDS, burn


class Hello(RequestHandler):
    def get(self):
        self.write(HELLO)


class CPU(RequestHandler):
    def get(self):
        burn()
        self.write(HELLO)


class Sleep(RequestHandler):
    def initialize(self, seconds):
        self.seconds = seconds

    async def get(self):
        await asyncio.sleep(self.seconds)
        self.write(HELLO)


app = Application(
    [
        ("/", Hello),
        ("/cpu", CPU),
        ("/sleep", Sleep, {"seconds": SLEEP_SECONDS}),
        ("/sleep100", Sleep, {"seconds": LONG_SLEEP_SECONDS}),
    ]
)
