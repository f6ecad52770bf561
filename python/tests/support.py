"""A master and a front in Python, for the real spawner and its real workers.

Tests wait for what they expect, never for time to pass; every wait has a limit.
"""

import hashlib
import json
import marshal
import mmap
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

LIMIT = 20  # seconds that a test waits for anything

PYTHON_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What a slot has at the end of a board, in bytes.
SHELF = 64 << 10
TRAY = 1 << 20

# The store: words of 8 bytes, and the blocks they belong to.
STORE_HEAD = 4096
STORE_BLOCK = 128 << 10

# What each slot has on the board, in words.
TOKEN, CLAIMED, GONE, DEADLINE, SHELVED, ON_TRAY = range(6)

RESPONSE, START, CHUNK, END, FILE, ERROR, REFUSED, HINTS, EXTEND = range(9)


def bootstrap():
    with open(os.path.join(PYTHON_DIR, "bootstrap.py")) as f:
        return f.read()


def bundle():
    """What embed.go makes of the modules."""
    sources = {}
    package = os.path.join(PYTHON_DIR, "indrik")
    for name in os.listdir(package):
        if name.endswith(".py"):
            with open(os.path.join(package, name), "rb") as f:
                module = "indrik" if name == "__init__.py" else "indrik." + name[:-3]
                sources[module] = f.read()
    return marshal.dumps(sources, 2)


def memory(size, content=b""):
    """Returns the descriptor of an unlinked file."""
    with tempfile.TemporaryFile() as f:
        f.write(content)
        f.flush()
        f.truncate(max(size, len(content)))
        return os.dup(f.fileno())


class Store:
    """A store of a few blocks."""

    def __init__(self, blocks):
        self.fd = memory(STORE_HEAD + blocks * STORE_BLOCK)
        self.memory = mmap.mmap(self.fd, 0)
        self.owners = memoryview(self.memory)[:STORE_HEAD].cast("Q")

    def put(self, number, body, blocks):
        """Puts a body there, and returns the item of the request for it."""
        for i, block in enumerate(blocks):
            part = body[i * STORE_BLOCK : (i + 1) * STORE_BLOCK]
            at = STORE_HEAD + block * STORE_BLOCK
            self.memory[at : at + len(part)] = part
        self.owners[blocks[0]] = number
        return (len(body), *blocks)

    def close(self):
        os.close(self.fd)


def send(sock, data, fds=()):
    ancillary = []
    if fds:
        rights = struct.pack("%di" % len(fds), *fds)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
    sock.sendmsg([data], ancillary)


def receive(sock):
    """Returns a message and its descriptors; b"" at the end."""
    data, ancillary, _, _ = sock.recvmsg(256 << 10, socket.CMSG_SPACE(8))
    fds = []
    for _, _, rights in ancillary:
        fds.extend(struct.unpack("%di" % (len(rights) // 4), rights))
    return data, fds


def pair():
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    a.settimeout(LIMIT)
    return a, b


def strict(data):
    """Reads a message as the front does: the few types that it accepts."""
    value, rest = _value(data)
    assert not rest, "bytes behind the message"
    assert type(value) is tuple
    return numbered(value)


def strict_all(data):
    """Reads what may be several messages in one."""
    messages = []
    while data:
        value, data = _value(data)
        assert type(value) is tuple
        messages.append(numbered(value))
    return messages


def _value(b):
    kind, b = b[:1], b[1:]
    if kind == b"N":
        return None, b
    if kind == b"i":
        return struct.unpack("<i", b[:4])[0], b[4:]
    if kind == b"l":
        n, b = struct.unpack("<i", b[:4])[0], b[4:]
        digits = struct.unpack("<%dH" % abs(n), b[: 2 * abs(n)])
        value = sum(digit << 15 * i for i, digit in enumerate(digits))
        return (value if n >= 0 else -value), b[2 * abs(n) :]
    if kind in (b"(", b"["):
        n, b = struct.unpack("<I", b[:4])[0], b[4:]
        items = []
        for _ in range(n):
            item, b = _value(b)
            items.append(item)
        return (tuple(items) if kind == b"(" else items), b
    if kind in (b"s", b"u", b"t"):
        n, b = struct.unpack("<I", b[:4])[0], b[4:]
        data, b = b[:n], b[n:]
        if kind == b"s":
            return data, b
        text = data.decode()
        text.encode("latin-1")
        return text, b
    raise AssertionError("type %r in a message to the front" % kind)


def claim(number):
    """Returns the claim of a request: its token, and its number."""
    return hashlib.sha256(b"%d" % number).digest()[:8] + number.to_bytes(8, sys.byteorder)


def numbered(message):
    """Returns a message that names its request by the number, if it does by the claim."""
    if type(message[1]) is not bytes:
        return message
    number = int.from_bytes(message[1][8:], sys.byteorder)
    assert message[1] == claim(number), message
    return (*message[:1], number, *message[2:])


OWN = ("REQUEST_METHOD", "RAW_URI", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "CONTENT_LENGTH")


def parts(environ):
    """Returns the parts in which the front sends an environ, None for one that is
    in a file."""
    if environ is None:
        return (None,) * 8
    rest = {key: value for key, value in environ.items() if key not in OWN}
    own = [environ.get(key) for key in OWN]
    if own[2] == own[1]:
        own[2] = None
    return (marshal.dumps(rest, 2), *own)


class Generation:
    """A queue, and the workers that read it."""

    def __init__(self, number):
        self.number = number
        self.queue, self.workers_end = pair()
        self.workers = []

    def revoke(self, number):
        for worker in self.workers:
            worker.revoke(number)

    def put(self, number, environ, body=b"", fds=()):
        self.put_together([(number, environ, body)], fds)

    def put_together(self, requests, fds=()):
        """Puts several requests, each a number, an environ and a body, in one message."""
        items = [(number, claim(number), *parts(environ), body) for number, environ, body in requests]
        send(self.queue, marshal.dumps(items, 2), fds)

    def close(self):
        self.queue.close()
        self.workers_end.close()


class FakeWorker:
    """The master's and the front's view of a worker."""

    def __init__(self, age, slots):
        self.age = age
        self.pid = None
        self.silent = False  # its end of the channel is closed
        pairs = [pair() for _ in range(slots)]
        self.slots = [p[0] for p in pairs]
        self.theirs = [p[1] for p in pairs]
        self.channel, self.channel_end = pair()
        self.inodes = [os.fstat(s.fileno()).st_ino for s in [*self.theirs, self.channel_end]]
        self.board_fd = memory(4096 * (1 + slots // 50) + slots * (SHELF + TRAY))
        self.memory = mmap.mmap(self.board_fd, 0)
        self.scoreboard = memoryview(self.memory).cast("Q")
        self.dump_fd = memory(0)

    def revoke(self, number):
        n = self.scoreboard[7]
        self.scoreboard[8 + n % 64] = number
        self.scoreboard[7] = n + 1

    def word(self, index, word):
        """Returns where on the board a word of a slot is."""
        return 72 + 8 * index + word

    def claimed(self, index=0):
        return self.scoreboard[self.word(index, CLAIMED)]

    def shelf(self, index=0):
        """Returns what it has answered and not sent."""
        start = len(self.memory) - (index + 1) * (SHELF + TRAY)
        return self.memory[start : start + self.scoreboard[self.word(index, SHELVED)]]

    def take_tray(self, size, index=0):
        """Returns what is on its tray, and clears that."""
        assert self.scoreboard[self.word(index, ON_TRAY)] > 0
        start = len(self.memory) - (index + 1) * (SHELF + TRAY) + SHELF
        data = self.memory[start : start + size]
        self.scoreboard[self.word(index, ON_TRAY)] = 0
        return data

    def with_body(self, message, index=0):
        """Returns a message with its body, if that is on the tray."""
        if message[0] <= CHUNK and type(message[-1]) is int:
            return (*message[:-1], self.take_tray(message[-1], index))
        return message

    def dump(self):
        return os.pread(self.dump_fd, 1 << 20, 0).decode()

    def close(self):
        for sock in self.slots + self.theirs + [self.channel, self.channel_end]:
            sock.close()
        os.close(self.board_fd)
        os.close(self.dump_fd)


class Master:
    """A spawner, and what a master does with it."""

    def __init__(self, directory):
        self.dir = directory
        self.control, theirs = pair()
        source = memory(0, bundle())
        self.log = os.path.join(directory, "log")
        self.stderr = open(self.log, "ab", buffering=0)
        dump = memory(0)
        ends = (theirs.fileno(), source, dump)

        def descriptors():
            high = [os.dup(fd) for fd in ends for _ in range(8)][::8]  # beyond 3 to 5
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
            os.dup2(high[2], 5)

        env = dict(os.environ, SERVER_SOFTWARE="indrik/1.2.3")
        env.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", bootstrap()],
            preexec_fn=descriptors,
            pass_fds=(3, 4, 5),
            stdin=subprocess.DEVNULL,
            stdout=self.stderr,
            stderr=self.stderr,
            env=env,
            cwd=directory,
        )
        theirs.close()
        os.close(source)
        os.close(dump)
        self.last = 0
        self.age = 0
        self.events = []
        self.generations = {}
        self.workers = []
        self.name = "test"
        self.number = 0  # of the last request

    # messages

    def message(self, what, fds=(), **fields):
        send(self.control, json.dumps(dict(fields, type=what)).encode(), fds)

    def start(self, what, fds=(), **fields):
        self.last += 1
        self.message(what, fds, call=self.last, **fields)
        return self.last

    def answer(self, call):
        return self.expect(lambda e: e.get("call") == call)

    def call(self, what, fds=(), **fields):
        return self.answer(self.start(what, fds, **fields))

    def expect(self, wanted):
        """Returns the first event for which wanted is true. Others stay."""
        if isinstance(wanted, str):
            kind = wanted
            wanted = lambda e: e["type"] == kind  # noqa: E731
        seen = 0
        while True:
            for i in range(seen, len(self.events)):
                if wanted(self.events[i]):
                    return self.events.pop(i)
            seen = len(self.events)
            if not self.hear(LIMIT):
                raise AssertionError("nothing came; log:\n" + self.read_log())

    def hear(self, limit):
        """Takes a message of the spawner, or of a worker, whose number it then has. False
        if none came in time."""
        channels = {w.channel: w for w in self.workers if not w.silent}
        ready = select.select([self.control, *channels], [], [], limit)[0]
        for sock in ready:
            data, _ = receive(sock)
            worker = channels.get(sock)
            if data:
                event = json.loads(data)
                if worker:
                    assert "age" not in event, event
                    event["age"] = worker.age
                self.events.append(event)
            elif worker:
                worker.silent = True
            else:
                raise AssertionError("the spawner is gone; log:\n" + self.read_log())
        return bool(ready)

    # calls

    def configure(self, text=None, name="gunicorn.conf.py", generation=1):
        path = ""
        if text is not None:
            path = os.path.join(self.dir, name)
            with open(path, "w") as f:
                f.write(text)
        return self.call("configure", generation=generation, config_file=path, explicit=False, chdir=self.dir)

    def prepare(self, app, generation=1, load=None, **settings):
        values = {
            "chdir": self.dir,
            "errorlog": "-",
            "accesslog": None,
            "proc_name": self.name,
            "loglevel": "info",
            "workers": 1,
            "threads": 1,
            "worker_class": "sync",
            "max_requests": 0,
            "max_requests_jitter": 0,
            "raw_env": [],
            "preload_app": False,
            "user": os.geteuid(),
            "group": os.getegid(),
            "timeout": 30,
            "bind": ["127.0.0.1:8000"],
        }
        values.update(settings)
        if load is None:
            load = values["preload_app"]
        if generation in self.generations:
            self.generations[generation].close()
        g = Generation(generation)
        self.generations[generation] = g
        kind = values["worker_class"]
        if kind == "sync" and values["threads"] > 1:
            kind = "gthread"
        return self.call(
            "prepare",
            [g.workers_end.fileno()],
            generation=generation,
            settings=values,
            app=app,
            kind=kind,
            server=self.server(),
            load=load,
        )

    def server(self):
        return {
            "pid": os.getpid(),
            "proc_name": self.name,
            "address": ["127.0.0.1:8000"],
            "num_workers": 1,
            "master_name": "Master",
            "version": "1.2.3",
        }

    def spawn(self, slots=1, generation=1, ready=True):
        self.age += 1
        worker = FakeWorker(self.age, slots)
        self.workers.append(worker)
        self.generations[generation].workers.append(worker)
        fds = [s.fileno() for s in worker.theirs]
        if len(fds) > 10:  # some come before
            self.message("slots", fds[:10], generation=generation, age=self.age)
            fds = fds[10:]
        answer = self.call(
            "spawn",
            [worker.board_fd, worker.dump_fd, worker.channel_end.fileno(), *fds],
            generation=generation,
            age=self.age,
            server=self.server(),
        )
        for s in [*worker.theirs, worker.channel_end]:
            s.close()
        if answer["type"] == "ok":
            worker.pid = answer["pid"]
            if ready:
                self.expect(lambda e: e["type"] == "ready" and e["age"] == worker.age)
        worker.answer = answer
        return worker

    def up(self, source, config=None, slots=1, app="app:app", **settings):
        """Configures, prepares, and returns a worker that runs the source."""
        self.write("app.py", source)
        answer = self.configure(config)
        assert answer["type"] == "ok", answer
        answer = self.prepare(app, **settings)
        assert answer["type"] == "ok", answer
        return self.spawn(slots)

    def exited(self, worker):
        return self.expect(lambda e: e["type"] == "exited" and e["age"] == worker.age)

    def terminate(self, worker, sig=signal.SIGTERM):
        """Sends a signal until the worker is gone, as the master does."""
        while True:
            try:
                # An interpreter that is on its way out has its handlers no
                # more, and would end by the signal.
                leaving = "Worker exiting (pid: %d)" % worker.pid in self.read_log()
                os.kill(worker.pid, 0 if leaving and sig == signal.SIGTERM else sig)
            except ProcessLookupError:
                return self.exited(worker)
            self.hear(0.1)
            for event in self.events:
                if event["type"] == "exited" and event["age"] == worker.age:
                    return self.exited(worker)

    # requests

    def request(self, path="/", method="GET", body=b"", generation=1, fds=(), number=None, **extra):
        """Sends a request and returns its number."""
        self.number += 1
        number = number or self.number
        environ = self.environ(path, method, body, **extra)
        self.generations[generation].put(number, environ, body, fds)
        return number

    def environ(self, path="/", method="GET", body=b"", **extra):
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SCRIPT_NAME": "",
            "RAW_URI": path + ("?" + query if query else ""),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "50000",
            "HTTP_HOST": "example.com",
            "wsgi.url_scheme": "http",
        }
        if body:
            environ["CONTENT_LENGTH"] = str(len(body))
        environ.update(extra)
        return environ

    def response(self, worker, slot=0):
        """Returns the next message from a slot."""
        try:
            data, fds = receive(worker.slots[slot])
        except socket.timeout:
            raise AssertionError("no response; log:\n" + self.read_log()) from None
        if not data:
            raise AssertionError("the slot was closed; log:\n" + self.read_log())
        message = worker.with_body(strict(data), slot)
        return message + tuple(fds) if fds else message

    def request_all(self, *paths):
        """Sends requests in one message and returns their numbers."""
        numbers = list(range(self.number + 1, self.number + 1 + len(paths)))
        self.number = numbers[-1]
        requests = [(number, self.environ(path), b"") for number, path in zip(numbers, paths)]
        self.generations[1].put_together(requests)
        return numbers

    def get(self, worker, path="/", **kwargs):
        number = self.request(path, **kwargs)
        message = self.response(worker)
        assert message[1] == number, message
        return message

    # files

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def read_log(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def wait_log(self, text, count=1):
        """Waits until the log holds text; returns the log."""
        end = time.monotonic() + LIMIT
        while True:
            log = self.read_log()
            if log.count(text) >= count:
                return log
            if time.monotonic() > end:
                raise AssertionError("%r is not in the log:\n%s" % (text, log))
            time.sleep(0.01)

    def close(self):
        self.control.close()
        for g in self.generations.values():
            g.close()
        try:
            self.process.wait(LIMIT)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            for worker in self.workers:
                if worker.pid:
                    self._gone(worker)
                worker.close()
            self.stderr.close()

    def _gone(self, worker):
        """Waits for the end of a process that is not our child: its end of the
        slot is closed."""
        for sock in worker.slots:
            try:
                while receive(sock)[0]:
                    pass
            except ConnectionResetError:
                pass
            except socket.timeout:
                os.kill(worker.pid, signal.SIGKILL)
                raise AssertionError("worker %d outlived its master" % worker.pid) from None


class MasterTest(unittest.TestCase):
    """A test with a spawner of its own."""

    def setUp(self):
        self.dir = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)
        self.master = Master(self.dir)
        self.addCleanup(self.master.close)
