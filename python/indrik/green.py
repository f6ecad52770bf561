"""The worker of kind gevent: many requests at once, each in a greenlet.

It gets them as an ASGI worker does, by its own socket, with the environ in
place of the scope. The hub reads that socket and never waits; what may wait
runs in a greenlet. Only this module imports gevent: `patch` has been called
by then.
"""

import os
import traceback
from io import BytesIO
from marshal import dumps, loads
from time import monotonic, monotonic_ns

import gevent
from gevent.event import Event
from gevent.socket import wait_write

from . import hooks, timelimit, wire, wsgi
from .exchange import FORMAT, LEAVE, MAX_CHUNK, REFUSED, Exchange, FrontGone, Late
from .wire import GONE, GRANT, LATE, PING, REQUEST, RESET, TRAY

# How many bytes of the body of a response may be on their way to the client.
ROOM = 256 << 10

# How many events are handled before the greenlets have a turn.
_AT_ONCE = 64

_ANCILLARY = wire.CMSG_SPACE(2 * 4)


class Line:
    """The socket to the front, for greenlets: a send waits for room there, and
    lets others run meanwhile."""

    def __init__(self, sock):
        self._sock = sock
        self._fd = sock.fileno()

    def send(self, data):
        self.sendmsg([data])

    def sendmsg(self, buffers, ancillary=()):
        while True:
            try:
                self._sock.sendmsg(buffers, ancillary, wire.MSG_DONTWAIT)
                return
            except BlockingIOError:
                wait_write(self._fd)


class Tray(wire.Tray):
    """The tray, for which greenlets wait."""

    def __init__(self, board):
        super().__init__(board, 0)
        self.freed = Event()

    def put(self, number, data):
        while not self.is_free():
            self.freed.clear()
            self.freed.wait()
        return super().put(number, data)

    def clear(self):
        super().clear()
        self.freed.set()


class GreenExchange(Exchange):
    """The response to one request, with what the app can ask about that."""

    def __init__(self, number, timeout):
        self.id = self.number = number
        self.greenlet = None
        self.environ = {}
        self.left = False  # the client has
        self.room = ROOM
        self.waiting = None  # an Event, while the app waits for room
        self.timeout = timeout
        self.began = monotonic()
        self.until = self.began + timeout if timeout else None

    def has_gone(self):
        return self.left

    def put(self, data):
        at = 0
        try:
            self._put(data[:MAX_CHUNK])
            for at in range(MAX_CHUNK, len(data), MAX_CHUNK):
                self._put(data[at : at + MAX_CHUNK])
        except BaseException:
            if at:
                self.cut()
            raise

    def _put(self, data):
        while self.room <= 0 and not self.left:
            self.waiting = Event()
            self.waiting.wait()
        Exchange.put(self, data)
        self.room -= len(data)

    def grant(self, size):
        self.room += size
        self._wake()

    def leave(self):
        """The client has gone."""
        self.left = True
        self._wake()

    def _wake(self):
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.set()

    def deadline(self):
        return self.until

    def extend_deadline(self, seconds):
        if self.until is not None:
            seconds = timelimit.checked(seconds)
            self.until = max(self.until, monotonic() + seconds)
            self._send(timelimit.extension(self.id, seconds))
        return self.until


def here_or_beside_the_hub(function, *args):
    """Calls a function that may wait from the handler of a signal. The hub may
    not; if something else runs, perhaps for ever, there is no time to lose."""
    if gevent.getcurrent() is gevent.get_hub():
        gevent.spawn(function, *args)
    else:
        function(*args)


class Server:
    """What a worker serves requests with."""

    def __init__(self, worker):
        sock = worker.slots[0]
        self.worker = worker
        self.is_revoked = wire.Revocations(worker.board).include
        self.cells = worker.board
        self.requests = {}  # id: exchange
        self.poked = Event()  # something has changed that the main greenlet waits for
        self.receive = sock.recvmsg_into
        self.buffers = [wire.buffer()]
        self.common = wsgi.constants(worker)
        self.hooked = wsgi.with_hooks(worker)
        self.handlers = {
            REQUEST: self.on_request,
            GONE: self.on_gone,
            GRANT: self.on_grant,
            PING: self.on_ping,
            RESET: self.on_reset,
            LATE: self.on_late,
            TRAY: self.on_tray,
        }

        class Response(GreenExchange):
            pass

        Response.sock = Line(sock)
        Response.tray = Tray(worker.board)
        self.make = Response
        worker.forks.add(self._let_go)

    def _let_go(self):
        """Takes from a fork of this process what is the worker's. The greenlets of other
        requests are in it, too; they wait there for ever once they come back here."""
        forks, forker = self.worker.forks, gevent.getcurrent()

        def wait():
            if gevent.getcurrent() is not forker:
                try:
                    Event().wait()
                except gevent.exceptions.LoopExit:
                    pass  # there is nothing left that could go on

        forks.wait = wait
        Response, returned = self.make, forks.returned
        Response._send = hooks.nothing
        Response.tray.put = returned
        Response.put = Response.send = Response.whole = Response.finish = Response.file = Response.cut = returned
        if isinstance(forker, gevent.Greenlet) and forker not in [e.greenlet for e in self.requests.values()]:
            forks.wait = None
            forker.link(lambda greenlet: forks.leave(greenlet.exception))

    def run(self, wake):
        """Serves until the worker is told to end and all requests are done.
        Handlers of signals must write to the pipe wake."""
        loop = gevent.get_hub().loop
        signals = loop.io(wake[0], 1)
        signals.start(self._signalled, wake[0])
        events = loop.io(self.worker.slots[0].fileno(), 1)
        events.start(self._read)
        self.watchers = signals, events
        while not (self.worker.stopping and not self.requests):
            self.poked.wait()
            self.poked.clear()
        events.stop()
        signals.stop()

    def _signalled(self, fd):
        if self._forked():
            return
        try:
            os.read(fd, 4096)
        except BlockingIOError:
            pass
        self.poked.set()

    def _read(self):
        """Runs in the hub."""
        if self._forked():
            return
        for _ in range(_AT_ONCE):
            try:
                size, ancillary, _, _ = self.receive(
                    self.buffers, _ANCILLARY, wire.MSG_DONTWAIT | wire.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                size = 0
            if not size:
                self._orphaned()
                return
            for kind, number, a, b in loads(self.buffers[0]):
                self.handlers[kind](number, a, b, ancillary)

    def _forked(self):
        """Reports whether this is a fork of the worker: what it would read here is not its
        own."""
        if self.worker.forks.forked:
            for watcher in self.watchers:
                watcher.stop()
        return self.worker.forks.forked

    def _orphaned(self):
        """Neither front nor master is there any more."""
        if not self.worker.stopping:
            self.worker.orphaned = True
            self.worker.stop()
        for exchange in self.requests.values():
            exchange.leave()
        self.requests.clear()
        self.poked.set()

    def on_request(self, number, environ, body, ancillary):
        fds = wire.descriptors(ancillary) if ancillary else ()
        if self.worker.stopping:
            return self._decline(LEAVE, number, fds)
        # The claim comes before the look at the revocations: see wire.Revocations.
        self.cells[wire.BOARD_FIRST + wire.BOARD_CLAIMED] = number
        if self.cells[wire.BOARD_FRONT] != 1 + (number >> wire.ID_BITS):
            wire.close_all(fds)
            return
        if self.is_revoked(number):
            return self._decline(REFUSED, number, fds)
        exchange = self.make(number, self.worker.timeout)
        self.requests[number] = exchange
        exchange.greenlet = gevent.spawn(self.serve, exchange, environ, body, fds)

    def _decline(self, kind, number, fds):
        wire.close_all(fds)
        message = dumps((kind, number), FORMAT)
        gevent.spawn(self._say, message)  # this is the hub, which must not wait

    def _say(self, message):
        try:
            self.make.sock.send(message)
        except OSError:
            pass  # the front is gone, which the next receive tells

    def on_gone(self, number, a, b, ancillary):
        exchange = self.requests.get(number)
        if exchange is not None:
            exchange.leave()

    def on_grant(self, number, size, b, ancillary):
        exchange = self.requests.get(number)
        if exchange is not None:
            exchange.grant(size)

    def on_ping(self, number, sent, b, ancillary):
        lag = max(0, monotonic_ns() - sent) // 1000
        self.cells[wire.BOARD_LAG] = lag
        self.cells[wire.BOARD_MOST_LAG] = max(lag, self.cells[wire.BOARD_MOST_LAG])
        self.cells[wire.BOARD_PING] = number

    def on_reset(self, front, a, b, ancillary):
        self.make.tray.freed.set()  # that front has cleared it
        for number, exchange in self.requests.items():
            if number >> wire.ID_BITS != front:
                exchange.leave()

    def on_tray(self, number, a, b, ancillary):
        self.make.tray.freed.set()

    def on_late(self, number, a, b, ancillary):
        exchange = self.requests.pop(number, None)
        if exchange is not None:
            exchange.leave()
            gevent.spawn(self._end, exchange)  # logging may wait

    def _end(self, exchange):
        """Ends a request whose time is over. The others, and this worker, go on."""
        frame = exchange.greenlet.gr_frame
        self.worker.log.critical(
            "WORKER TIMEOUT (pid:%s): %s %s after %.1f s\n%s",
            self.worker.pid,
            exchange.environ.get("REQUEST_METHOD"),
            exchange.environ.get("PATH_INFO"),
            monotonic() - exchange.began,
            "".join(traceback.format_stack(frame)).rstrip("\n") if frame else "It was not running",
        )
        exchange.greenlet.kill(Late, block=False)
        self.poked.set()

    def serve(self, exchange, environ, body, fds):
        """Serves a request, in its greenlet."""
        worker, file = self.worker, None
        try:
            try:
                if type(body) is not bytes:
                    environ, body = wsgi.received(exchange.id, environ, body, fds)
                    if body is None:
                        return
                    if type(body) is not bytes:
                        file = body
            except Exception:
                wsgi.fail(worker, exchange, environ)
                return
            exchange.environ = environ
            environ.update(self.common)
            environ["wsgi.input"] = BytesIO(body) if file is None else file
            environ["wsgi.early_hints"] = exchange.early_hints
            environ["indrik.disconnected"] = exchange.has_gone
            environ["indrik.deadline"] = exchange.deadline
            environ["indrik.extend_deadline"] = exchange.extend_deadline
            worker.nr = count = worker.nr + 1
            if count >= worker.max_requests:
                worker.exhausted()
            wsgi.run(worker, self.hooked, exchange, environ)
        except (FrontGone, Late):
            pass
        finally:
            if file is not None:
                file.close()
            self.requests.pop(exchange.id, None)
            if worker.stopping:
                self.poked.set()
