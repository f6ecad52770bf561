"""A master for the real spawner and its real workers."""

from __future__ import annotations

import json
import marshal
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from .front import FakeWorker, Generation
from .memory import memory
from .messages import LIMIT, Environ, Message, pair, receive, send, strict

Event = Dict[str, Any]  # a message of the spawner or of a worker

PYTHON_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Where the apps of the tests are, one behaviour a file.
APPS = os.path.join(PYTHON_DIR, "tests", "apps")


# After so many seconds a signal is sent again that shows no effect.
AGAIN = 0.5

# Where indrik_speed is, if the workers are to use it.
SPEED = os.environ.get("INDRIK_TEST_SPEED", "")


def bootstrap() -> str:
    with open(os.path.join(PYTHON_DIR, "bootstrap.py")) as f:
        return f.read()


def bundle() -> bytes:
    """What embed.go makes of the modules."""
    sources = {}
    for directory, _, names in os.walk(os.path.join(PYTHON_DIR, "indrik")):
        package = os.path.relpath(directory, PYTHON_DIR).replace(os.sep, ".")
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(directory, name), "rb") as f:
                    sources[package if name == "__init__.py" else package + "." + name[:-3]] = f.read()
    return marshal.dumps(sources, 2)


class Master:
    """A spawner, and what a master does with it."""

    def __init__(self, directory: str) -> None:
        self.dir = directory
        self.control, theirs = pair()
        source = memory(0, bundle())
        self.log = os.path.join(directory, "log")
        self.stderr = open(self.log, "ab", buffering=0)
        dump = memory(0)
        ends = (theirs.fileno(), source, dump)

        def descriptors() -> None:
            high = [os.dup(fd) for fd in ends for _ in range(8)][::8]  # beyond 3 to 5
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
            os.dup2(high[2], 5)

        env = dict(os.environ, SERVER_SOFTWARE="indrik/1.2.3")
        env.pop("PYTHONPATH", None)
        if SPEED:
            env["PYTHONPATH"] = SPEED
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
        self.events: List[Event] = []
        self.generations: Dict[int, Generation] = {}
        self.workers: List[FakeWorker] = []
        self.name = "test"
        self.last_id = 0  # of a request

    # messages

    def message(self, what: str, fds: Sequence[int] = (), **fields: Any) -> None:
        send(self.control, json.dumps(dict(fields, type=what)).encode(), fds)

    def start(self, what: str, fds: Sequence[int] = (), **fields: Any) -> int:
        self.last += 1
        self.message(what, fds, call=self.last, **fields)
        return self.last

    def answer(self, call: int) -> Event:
        return self.expect(lambda e: e.get("call") == call)

    def call(self, what: str, fds: Sequence[int] = (), **fields: Any) -> Event:
        return self.answer(self.start(what, fds, **fields))

    def expect(self, wanted: Union[str, Callable[[Event], bool]]) -> Event:
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

    def hear(self, limit: float) -> bool:
        """Takes a message of the spawner, or of a worker, whose age it then has. False
        if none came in time."""
        channels = {w.channel: w for w in self.workers if not w.silent}
        ready = select.select([self.control, *channels], [], [], limit)[0]
        for sock in ready:
            data, _ = receive(sock)
            worker = channels.get(sock)
            if data:
                event = json.loads(data)
                if worker:
                    if event["type"] in ("forked", "failed"):  # by a template
                        event["of"] = event.pop("age")
                    assert "age" not in event, event
                    event["age"] = worker.age
                self.events.append(event)
            elif worker:
                worker.silent = True
            else:
                raise AssertionError("the spawner is gone; log:\n" + self.read_log())
        return bool(ready)

    # calls

    def configure(self, text: Optional[str] = None, name: str = "gunicorn.conf.py", generation: int = 1) -> Event:
        path = ""
        if text is not None:
            path = os.path.join(self.dir, name)
            with open(path, "w") as f:
                f.write(text)
        return self.call("configure", generation=generation, config_file=path, explicit=False, chdir=self.dir)

    def prepare(self, app: str, generation: int = 1, load: Optional[bool] = None, **settings: Any) -> Event:
        values: Dict[str, Any] = {
            "chdir": self.dir,
            "pythonpath": APPS,
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

    def server(self) -> Dict[str, Any]:
        return {
            "pid": os.getpid(),
            "proc_name": self.name,
            "address": ["127.0.0.1:8000"],
            "num_workers": 1,
            "master_name": "Master",
            "version": "1.2.3",
        }

    def spawn(self, slots: int = 1, generation: int = 1, ready: bool = True) -> FakeWorker:
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
            [worker.scoreboard_fd, worker.dump_fd, worker.channel_end.fileno(), *fds],
            generation=generation,
            age=self.age,
            server=self.server(),
        )
        for s in [*worker.theirs, worker.channel_end]:
            s.close()
        if answer["type"] == "ok":
            worker.pid = answer["pid"]
            if ready:
                event = self.expect(lambda e: e["type"] == "ready" and e["age"] == worker.age)
                worker.speed = event.get("speed", "")
        worker.answer = answer
        return worker

    def up(self, source: str, config: Optional[str] = None, slots: int = 1, **settings: Any) -> FakeWorker:
        """Configures, prepares, and returns a worker that runs the source, whose app is app."""
        self.write("app.py", source)
        return self.serve("app:app", config, slots, **settings)

    def serve(self, app: str, config: Optional[str] = None, slots: int = 1, **settings: Any) -> FakeWorker:
        """Configures, prepares, and returns a worker that runs an app, which may be one of APPS."""
        answer = self.configure(config)
        assert answer["type"] == "ok", answer
        answer = self.prepare(app, **settings)
        assert answer["type"] == "ok", answer
        return self.spawn(slots)

    def exited(self, worker: FakeWorker) -> Event:
        return self.expect(lambda e: e["type"] == "exited" and e["age"] == worker.age)

    def signal_until(self, worker: FakeWorker, sig: int, handled: Callable[[], bool]) -> None:
        """Sends a signal until it was handled, as the master does: one that comes after the
        interpreter has looked for signals, and before a system call blocks, waits for the end of
        that call."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                os.kill(worker.pid, sig)
            except ProcessLookupError:
                pass  # it has ended since
            again = time.monotonic() + AGAIN
            while time.monotonic() < again:
                if handled():
                    return
                self.hear(0.01)
        raise AssertionError("signal %d was not handled; log:\n%s" % (sig, self.read_log()))

    def begin_end(self, worker: FakeWorker, sig: int = signal.SIGTERM) -> None:
        """Has a worker that serves no request any more begin its end."""
        self.signal_until(worker, sig, lambda: "Worker exiting (pid: %d)" % worker.pid in self.read_log())

    def terminate(self, worker: FakeWorker, sig: int = signal.SIGTERM) -> Event:
        """Sends a signal until the worker is gone, as the master does."""
        while True:
            try:
                # An interpreter that is on its way out has its handlers no
                # more, and would end by the signal.
                leaving = "Worker exiting (pid: %d)" % worker.pid in self.read_log()
                os.kill(worker.pid, 0 if leaving and sig == signal.SIGTERM else sig)
            except ProcessLookupError:
                return self.exited(worker)
            again = time.monotonic() + AGAIN
            while time.monotonic() < again:
                for event in self.events:
                    if event["type"] == "exited" and event["age"] == worker.age:
                        return self.exited(worker)
                self.hear(max(0, again - time.monotonic()))

    # requests

    def request(
        self,
        path: str = "/",
        method: str = "GET",
        body: bytes = b"",
        generation: int = 1,
        fds: Sequence[int] = (),
        id: Optional[int] = None,
        **extra: Any,
    ) -> int:
        """Sends a request and returns its id."""
        self.last_id += 1
        id = id or self.last_id
        environ = self.environ(path, method, body, **extra)
        self.generations[generation].put(id, environ, body, fds)
        return id

    def environ(self, path: str = "/", method: str = "GET", body: bytes = b"", **extra: Any) -> Environ:
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

    def response(self, worker: FakeWorker, slot: int = 0) -> Message:
        """Returns the next message from a slot."""
        try:
            data, fds = receive(worker.slots[slot])
        except socket.timeout:
            raise AssertionError("no response; log:\n" + self.read_log()) from None
        if not data:
            raise AssertionError("the slot was closed; log:\n" + self.read_log())
        message = worker.with_body(strict(data), slot)
        return message + tuple(fds) if fds else message

    def request_all(self, *paths: str) -> List[int]:
        """Sends requests in one message and returns their ids."""
        ids = list(range(self.last_id + 1, self.last_id + 1 + len(paths)))
        self.last_id = ids[-1]
        requests = [(id, self.environ(path), b"") for id, path in zip(ids, paths)]
        self.generations[1].put_together(requests)
        return ids

    def get(self, worker: FakeWorker, path: str = "/", **kwargs: Any) -> Message:
        id = self.request(path, **kwargs)
        message = self.response(worker)
        assert message[1] == id, message
        return message

    # files

    def write(self, name: str, text: str) -> None:
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def read_log(self) -> str:
        with open(self.log, errors="replace") as f:
            return f.read()

    def wait_log(self, text: str, count: int = 1) -> str:
        """Waits until the log holds text; returns the log."""
        end = time.monotonic() + LIMIT
        while True:
            log = self.read_log()
            if log.count(text) >= count:
                return log
            if time.monotonic() > end:
                raise AssertionError("%r is not in the log:\n%s" % (text, log))
            time.sleep(0.01)

    def close(self) -> None:
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

    def _gone(self, worker: FakeWorker) -> None:
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

    def setUp(self) -> None:
        self.dir = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)
        self.master = Master(self.dir)
        self.addCleanup(self.master.close)
