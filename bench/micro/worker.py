"""Benchmarks of the worker's loop, in the form of `go test -bench`.

memory: messages come from memory and answers go nowhere, so that the time is
Python's alone. sockets: with the system calls, in batches that wait already. The
number is that of the requests in a message. It is processor time, so that others on
the machine do not matter much. Where indrik-speed is installed, it is measured too.
"""

import gc
import logging
import marshal
import mmap
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))

from indrik import protocol, wsgi, wsgienviron

ENVIRON = {
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "40000",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "REQUEST_METHOD": "GET",
    "QUERY_STRING": "",
    "RAW_URI": "/",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "http",
    "HTTP_HOST": "127.0.0.1",
    "HTTP_USER_AGENT": "bench",
    "HTTP_ACCEPT": "*/*",
    "PATH_INFO": "/",
    "SCRIPT_NAME": "",
}
ROUNDS = 6
BATCH = 20  # messages that wait in a socket


def app(environ, start_response):
    body = b"Hello, World!\n"
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


class Log:
    error_log = logging.getLogger("bench")

    def exception(self, *args):
        raise SystemExit("an error in the loop: %r" % (sys.exc_info()[1],))


class Config(dict):
    class hooks(dict):
        get = staticmethod(lambda name: None)


class Forks(set):
    forked = False
    returned = None


class Worker:
    processes = 2
    forks = Forks()
    threaded = is_gevent = leaving = False
    timeout = 30
    limit = sys.maxsize
    shown = own = beat = speed = None
    nr = 0
    log = Log()
    cfg = Config()
    wsgi = staticmethod(app)

    def __init__(self, queue, slot):
        self.queue, self.slots = queue, [slot]
        self.scoreboard = memoryview(mmap.mmap(-1, 4096 + protocol.SCOREBOARD_PART)).cast("Q")


class Memory:
    """A queue and a slot without system calls."""

    def __init__(self, message, count):
        self.message, self.size, self.left = message, len(message), count

    def recvmsg_into(self, buffers, ancillary, flags):
        if not self.left:
            return 0, [], 0, None
        self.left -= 1
        buffers[0][: self.size] = self.message
        return self.size, [], 0, None

    def send(self, data):
        return len(data)


CLAIM = b"a token " + (1 << 20).to_bytes(8, sys.byteorder)


def text(value):
    """A str as the front encodes it."""
    return b"N" if value is None else b"z%c%s" % (len(value), value.encode())


def message_of(environ):
    """A request as the front encodes it."""
    rest = dict(environ)
    own = [rest.pop(key, None) for key in wsgienviron.OWN]
    own[2] = None  # the path is the target
    fields = b"".join(b"Z%c%s%s" % (len(key), key.encode(), text(value)) for key, value in rest.items())
    head = marshal.dumps(b"{%s0" % fields, 2)
    return (
        b"(\x0b\0\0\0"
        + marshal.dumps(1 << 20, 2)
        + marshal.dumps(CLAIM, 2)
        + head
        + b"".join(map(text, own))
        + marshal.dumps(b"", 2)
    )


def together(requests):
    """Requests or events in one message."""
    return b"[" + len(requests).to_bytes(4, "little") + b"".join(requests)


def in_memory(request, count, size):
    memory = Memory(together([request] * size), count // size)
    worker = Worker(memory, memory)
    begun = time.process_time()
    wsgi.serve(worker, 0)
    assert worker.nr == count
    return time.process_time() - begun


class Sockets:
    """A queue and a slot, with a front that is there now and then; what that takes
    does not count."""

    def __init__(self, message, count):
        self.message, self.left, self.ready = message, count, 0
        self.front, self.queue = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.answers, self.slot = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.answers.setblocking(False)
        self.send, self.sendmsg = self.slot.send, self.slot.sendmsg
        self.others = 0.0  # the time it took

    def recvmsg_into(self, buffers, ancillary, flags):
        if not self.ready:
            begun = time.process_time()
            self.serve()
            self.others += time.process_time() - begun
            if not self.ready:
                return 0, [], 0, None
        self.ready -= 1
        return self.queue.recvmsg_into(buffers, ancillary, flags)

    def serve(self):
        try:
            while self.answers.recv(protocol.MAX_MESSAGE):
                pass
        except BlockingIOError:
            pass
        self.ready = min(BATCH, self.left)
        self.left -= self.ready
        for _ in range(self.ready):
            self.front.send(self.message)

    def close(self):
        for sock in (self.front, self.queue, self.answers, self.slot):
            sock.close()


def by_sockets(request, count, size):
    sockets = Sockets(together([request] * size), count // size)
    worker = Worker(sockets, sockets)
    begun = time.process_time()
    wsgi.serve(worker, 0)
    spent = time.process_time() - begun - sockets.others
    assert worker.nr == count
    sockets.close()
    return spent


def speeds():
    """Returns the module indrik_speed, if it is there, after None, each with a name."""
    try:
        import indrik_speed
    except ImportError:
        return [(None, "")]
    return [(None, ""), (indrik_speed, "Speed")]


def main():
    request = message_of(ENVIRON)
    gc.freeze()
    for name, measure, count in (("memory", in_memory, 48_000), ("sockets", by_sockets, 16_000)):
        for size in (1, 8):
            for Worker.speed, suffix in speeds() * ROUNDS:
                seconds = measure(request, count, size)
                print(
                    "BenchmarkWorkerLoop%s/%s/%d \t%8d\t%10.1f ns/op"
                    % (suffix, name, size, count, seconds / count * 1e9)
                )


if __name__ == "__main__":
    main()
