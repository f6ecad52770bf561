"""The worker of kind gevent: many requests at once, each in a greenlet.

It gets them as an ASGI worker does, by its own socket, with the environ in
place of the scope. The hub reads that socket and never waits; code that may wait
runs in a greenlet. Only this module imports gevent: `patch` has been called
by then.
"""

from __future__ import annotations

import os
import traceback
from marshal import dumps, loads
from socket import MSG_DONTWAIT
from time import monotonic, monotonic_ns

import gevent
from gevent.event import Event
from gevent.monkey import get_original
from gevent.socket import wait_write

from . import hooks, stacks, timelimit, wire, wsgi, wsgienviron
from .protocol import (
    EVENT_BUFFER_FREE,
    EVENT_CREDIT,
    EVENT_GONE,
    EVENT_LATE,
    EVENT_PING,
    EVENT_REQUEST,
    EVENT_RESET,
    EVENT_TRACE,
    ID_BITS,
    REPLY_LEAVE,
    REPLY_REFUSED,
    RESPONSE_WINDOW,
    SCOREBOARD_CLAIMED,
    SCOREBOARD_FRONT,
    SCOREBOARD_LAG,
    SCOREBOARD_MOST_LAG,
    SCOREBOARD_PING,
    SCOREBOARD_THREAD,
)
from .wire import FORMAT, MAX_CHUNK, FrontGone, Late
from .wsgiresponse import WSGIResponse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket
    from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

    from .wire import Ancillary, Data, Scoreboard
    from .worker import Worker
    from .wsgiresponse import Environ, Headers

# How many events are handled before the greenlets have a turn.
_AT_ONCE = 64

_CLAIMED = wire.slot_word(0, SCOREBOARD_CLAIMED)

_RECEIVE_FLAGS = MSG_DONTWAIT | wire.RECEIVE_FLAGS


class GreenSocket:
    """The socket to the front, for greenlets: a send that the kernel does not take waits,
    and lets others run meanwhile."""

    def __init__(self, sock: socket) -> None:
        self._sock = sock
        self._fd = sock.fileno()

    def send(self, data: Data) -> None:
        self.sendmsg([data])

    def sendmsg(
        self, buffers: Sequence[Data], ancillary: Iterable[Tuple[int, int, bytes]] = (), flags: int = 0
    ) -> None:
        while True:
            try:
                self._sock.sendmsg(buffers, ancillary, MSG_DONTWAIT)
                return
            except BlockingIOError:
                if flags & MSG_DONTWAIT:
                    raise
                wait_write(self._fd)


class GreenResponseBuffer(wire.ResponseBuffer):
    """The response buffer, for which greenlets wait."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        super().__init__(scoreboard, 0)
        self.freed = Event()

    def put(self, request_id: int, data: Data) -> bool:
        while not self.is_free():
            self.freed.clear()
            self.freed.wait()
        return super().put(request_id, data)

    def clear(self) -> None:
        super().clear()
        self.freed.set()


class GreenResponse(WSGIResponse):
    """The response to one request, and the answers to the app's questions about it."""

    def __init__(self, request_id: int, timeout: float) -> None:
        self.id = self.ref = request_id
        self.greenlet: Any = None
        self.environ: Environ = {}
        self.client_left = False
        self.window = RESPONSE_WINDOW  # credit: bytes that may be sent now
        self.waiting: Any = None  # an Event, while the app waits for credit
        self.timeout = timeout
        self.began = monotonic()
        self.until: Optional[float] = self.began + timeout if timeout else None

    def accepted(self, headers: Headers) -> None:
        super().accepted(headers)
        self.until = None

    def has_gone(self) -> bool:
        return self.client_left

    def put(self, data: bytes) -> None:
        at = 0
        try:
            self._put(data[:MAX_CHUNK])
            for at in range(MAX_CHUNK, len(data), MAX_CHUNK):
                self._put(data[at : at + MAX_CHUNK])
        except BaseException:
            if at:
                self.cut()
            raise

    def _put(self, data: bytes) -> None:
        while self.window <= 0 and not self.client_left:
            self.waiting = Event()
            self.waiting.wait()
        WSGIResponse.put(self, data)
        self.window -= len(data)

    def credit(self, size: int) -> None:
        """Lets the app send size bytes more."""
        self.window += size
        self._wake()

    def client_gone(self) -> None:
        """Takes note that the client has gone."""
        self.client_left = True
        self._wake()

    def _wake(self) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.set()

    def deadline(self) -> Optional[float]:
        return self.until

    def extend_deadline(self, seconds: float) -> Optional[float]:
        if self.until is not None:
            seconds = timelimit.checked(seconds)
            self.until = max(self.until, monotonic() + seconds)
            self._send(timelimit.extension(self.ref, seconds))
        return self.until


def here_or_beside_the_hub(function: Callable[..., object], *args: object) -> None:
    """Calls a function that may wait, from the handler of a signal. If the hub runs, which
    may not wait, a greenlet calls it; any other greenlet may run for ever, so it is called
    there."""
    if gevent.getcurrent() is gevent.get_hub():
        gevent.spawn(function, *args)
    else:
        function(*args)


class GeventServer:
    """Serves the requests of a worker."""

    def __init__(self, worker: Worker) -> None:
        sock = worker.slots[0]
        self.worker = worker
        self.revocations = wire.Revocations(worker.scoreboard)
        self.scoreboard = worker.scoreboard
        self.requests: Dict[int, GreenResponse] = {}  # by id
        self.changed = Event()  # the main greenlet waits for it
        self.receive = sock.recvmsg_into
        self.buffers = [wire.receive_buffer()]
        self.common = wsgienviron.constants(worker)
        self.hooked = wsgi.with_hooks(worker)
        self.handlers: Dict[int, Callable[[int, Any, Any, Ancillary], None]] = {
            EVENT_REQUEST: self.on_request,
            EVENT_GONE: self.on_gone,
            EVENT_CREDIT: self.on_credit,
            EVENT_PING: self.on_ping,
            EVENT_RESET: self.on_reset,
            EVENT_LATE: self.on_late,
            EVENT_BUFFER_FREE: self.on_buffer_free,
            EVENT_TRACE: self.on_trace,
        }

        self.scoreboard[wire.slot_word(0, SCOREBOARD_THREAD)] = get_original("_thread", "get_ident")()
        self.sock = GreenSocket(sock)
        self.response_buffer = GreenResponseBuffer(worker.scoreboard)
        # A subclass, so that attributes which all responses share are not set for each.
        shared = {"sock": self.sock, "response_buffer": self.response_buffer}
        self.make: Any = type("Response", (GreenResponse,), shared)
        worker.forks.add(self._disarm)

    def _disarm(self) -> None:
        """Takes the worker's things from a fork of this process. The greenlets of other
        requests are in it, too; they wait there for ever once they come back here."""
        forks, forker = self.worker.forks, gevent.getcurrent()

        def wait() -> None:
            if gevent.getcurrent() is not forker:
                try:
                    Event().wait()
                except gevent.exceptions.LoopExit:
                    pass  # there is nothing left that could go on

        forks.wait = wait
        self.make._send = hooks.nothing
        vars(self.response_buffer)["put"] = forks.returned
        for name in ("put", "send", "whole", "finish", "file", "cut"):
            setattr(self.make, name, forks.returned)
        if isinstance(forker, gevent.Greenlet) and forker not in [e.greenlet for e in self.requests.values()]:
            forks.wait = None
            forker.link(lambda greenlet: forks.leave(greenlet.exception))

    def run(self, wake: Sequence[int]) -> None:
        """Serves until the worker is told to end and all requests are done.
        Handlers of signals must write to the pipe wake."""
        loop = gevent.get_hub().loop
        signals = loop.io(wake[0], 1)
        signals.start(self._signalled, wake[0])
        events = loop.io(self.worker.slots[0].fileno(), 1)
        events.start(self._read)
        self.watchers = signals, events
        beat = self.worker.beat
        while not (self.worker.stopping and not self.requests):
            self.changed.wait(beat and beat.every)
            self.changed.clear()
            if beat is not None and not self.worker.stopping:
                beat()
        events.stop()
        signals.stop()

    def _signalled(self, fd: int) -> None:
        if self._stop_in_fork():
            return
        try:
            os.read(fd, 4096)
        except BlockingIOError:
            pass
        self.changed.set()

    def _read(self) -> None:
        """Runs in the hub."""
        if self._stop_in_fork():
            return
        for _ in range(_AT_ONCE):
            try:
                size, ancillary, _, _ = self.receive(self.buffers, wire.ANCILLARY_SIZE, _RECEIVE_FLAGS)
            except BlockingIOError:
                return
            except OSError:
                size = 0
            if not size:
                self._orphaned()
                return
            self.revocations.message_came()
            for kind, request_id, a, b in loads(self.buffers[0]):
                self.handlers[kind](request_id, a, b, ancillary)

    def _stop_in_fork(self) -> bool:
        """Stops the watchers if this process is a fork of the worker, whose messages and
        signals are not its own; False: it is the worker."""
        if self.worker.forks.forked:
            for watcher in self.watchers:
                watcher.stop()
        return self.worker.forks.forked

    def _orphaned(self) -> None:
        """Ends the worker, since both front and master have ended."""
        if not self.worker.stopping:
            self.worker.orphaned = True
            self.worker.stop()
        for response in self.requests.values():
            response.client_gone()
        self.requests.clear()
        self.changed.set()

    def on_request(self, request_id: int, environ: Any, body: Any, ancillary: Ancillary) -> None:
        fds = wire.descriptors(ancillary) if ancillary else []
        if self.worker.stopping:
            self._decline(REPLY_LEAVE, request_id, fds)
            return
        # The claim is written before the revocations are read: see wire.Revocations.
        self.scoreboard[_CLAIMED] = request_id
        if self.scoreboard[SCOREBOARD_FRONT] != 1 + (request_id >> ID_BITS):
            wire.close_all(fds)
            return
        if self.revocations.include(request_id):
            self._decline(REPLY_REFUSED, request_id, fds)
            return
        response = self.make(request_id, self.worker.timeout)
        self.requests[request_id] = response
        response.greenlet = gevent.spawn(self.serve, response, environ, body, fds)

    def _decline(self, kind: int, request_id: int, fds: List[int]) -> None:
        wire.close_all(fds)
        message = dumps((kind, request_id), FORMAT)
        gevent.spawn(self._say, message)  # this is the hub, which must not wait

    def _say(self, message: bytes) -> None:
        try:
            self.sock.send(message)
        except OSError:
            pass  # the front is gone, which the next receive tells

    def on_gone(self, request_id: int, a: object, b: object, ancillary: Ancillary) -> None:
        response = self.requests.get(request_id)
        if response is not None:
            response.client_gone()

    def on_credit(self, request_id: int, size: int, b: object, ancillary: Ancillary) -> None:
        response = self.requests.get(request_id)
        if response is not None:
            response.credit(size)

    def on_ping(self, number: int, sent: int, b: object, ancillary: Ancillary) -> None:
        lag = max(0, monotonic_ns() - sent) // 1000
        self.scoreboard[SCOREBOARD_LAG] = lag
        self.scoreboard[SCOREBOARD_MOST_LAG] = max(lag, self.scoreboard[SCOREBOARD_MOST_LAG])
        self.scoreboard[SCOREBOARD_PING] = number

    def on_reset(self, front: int, a: object, b: object, ancillary: Ancillary) -> None:
        self.response_buffer.freed.set()  # that front has cleared it
        for request_id, response in self.requests.items():
            if request_id >> ID_BITS != front:
                response.client_gone()

    def on_buffer_free(self, request_id: int, a: object, b: object, ancillary: Ancillary) -> None:
        self.response_buffer.freed.set()

    def on_late(self, request_id: int, a: object, b: object, ancillary: Ancillary) -> None:
        response = self.requests.pop(request_id, None)
        if response is not None:
            response.client_gone()
            gevent.spawn(self._end, response)  # logging may wait

    def on_trace(self, request_id: int, number: int, b: object, ancillary: Ancillary) -> None:
        self.worker.write_stacks(lambda: stacks.of_greenlets(number, self.requests))

    def _end(self, response: GreenResponse) -> None:
        """Ends a request whose time is over. The others, and this worker, go on."""
        frame = response.greenlet.gr_frame
        self.worker.log.critical(
            "WORKER TIMEOUT (pid:%s): %s %s after %.1f s\n%s",
            self.worker.pid,
            response.environ.get("REQUEST_METHOD"),
            response.environ.get("PATH_INFO"),
            monotonic() - response.began,
            "".join(traceback.format_stack(frame)).rstrip("\n") if frame else "It was not running",
        )
        response.greenlet.kill(Late, block=False)
        self.changed.set()

    def serve(self, response: GreenResponse, environ: Any, body: Any, fds: List[int]) -> None:
        """Serves a request, in its greenlet."""
        worker, opened = self.worker, None
        try:
            try:
                if type(body) is not bytes:
                    environ, body = wsgi.received(response.id, environ, body, fds)
                    if body is None:
                        return
                environ.update(self.common)
                opened = wsgi.give(worker, response, environ, body)
            except Exception:
                wsgi.fail(worker, response, environ)
                return
            response.environ = environ
            environ["wsgi.early_hints"] = response.early_hints
            environ["indrik.disconnected"] = response.has_gone
            environ["indrik.deadline"] = response.deadline
            environ["indrik.extend_deadline"] = response.extend_deadline
            worker.nr = count = worker.nr + 1
            if count >= worker.limit:
                worker.reached_limit()
            wsgi.run(worker, self.hooked, response, environ)
        except (FrontGone, Late):
            pass
        finally:
            if opened is not None:
                opened.close()
            self.requests.pop(response.id, None)
            if worker.stopping:
                self.changed.set()
