"""The app that BENCH_TIMED names, with a clock around each call. The clock is that of the
processor time of the thread, so that what others run meanwhile does not count.

In a server: timed:app writes the number of calls and their nanoseconds, 64 bits each, to a
file in the directory BENCH_CALLS that has the name of the process. By itself:

    python timed.py SECONDS

calls the app in a loop for so long, and prints the nanoseconds of a call.
"""

import asyncio
import io
import mmap
import os
import struct
import sys
from importlib import import_module
from time import monotonic, thread_time_ns

from loop import ENVIRON, SCOPE

KIND = {"hello": "wsgi", "flask_app": "wsgi", "django_app": "wsgi", "hello_asgi": "asgi", "fastapi_app": "asgi"}

NAME = os.environ["BENCH_TIMED"]
inner = import_module(NAME).app


class Counter:
    """Counts in memory that others can read. A process that was forked has its own."""

    memory = None

    def open(self):
        self.pid = os.getpid()
        with open(os.path.join(os.environ["BENCH_CALLS"], str(self.pid)), "w+b") as f:
            f.truncate(mmap.PAGESIZE)
            self.memory = mmap.mmap(f.fileno(), mmap.PAGESIZE)
        self.calls = self.nanoseconds = 0

    def add(self, nanoseconds):
        if self.memory is None:
            self.open()
        self.calls += 1
        self.nanoseconds += nanoseconds
        struct.pack_into("=2Q", self.memory, 0, self.calls, self.nanoseconds)


counter = Counter()


def timed_wsgi(environ, start_response):
    begun = thread_time_ns()
    result = inner(environ, start_response)
    counter.add(thread_time_ns() - begun)
    return result


async def timed_asgi(scope, receive, send):
    begun = thread_time_ns()
    await inner(scope, receive, send)
    if scope["type"] == "http":
        counter.add(thread_time_ns() - begun)


app = timed_wsgi if KIND[NAME] == "wsgi" else timed_asgi


def call_wsgi(end):
    def start_response(status, headers, exc_info=None):
        return None

    while monotonic() < end:
        for _ in range(100):
            environ = ENVIRON.copy()
            environ["wsgi.input"] = io.BytesIO(b"")
            begun = thread_time_ns()
            result = inner(environ, start_response)
            yield thread_time_ns() - begun
            if hasattr(result, "close"):
                result.close()


async def call_asgi(end, times):
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        return None

    while monotonic() < end:
        for _ in range(100):
            scope = SCOPE.copy()
            scope["headers"] = SCOPE["headers"].copy()
            begun = thread_time_ns()
            await inner(scope, receive, send)
            times.append(thread_time_ns() - begun)


def main():
    end = monotonic() + float(sys.argv[1])
    times = []
    if KIND[NAME] == "wsgi":
        times.extend(call_wsgi(end))
    else:
        asyncio.run(call_asgi(end, times))
    times = times[len(times) // 4 :]  # without what warms up
    print(sum(times) // len(times))


if __name__ == "__main__":
    main()
