"""An ASGI worker: its event loop, the messages of the front, and the requests.

read() is the hot path: it takes as many messages as there are, and starts a task
for each request. What the app answers until all of them have run goes to the
front in one message.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from collections import deque
from marshal import dumps, loads

from . import ending, wire, wsgi
from .asgihttp import Request
from .exchange import ERROR, FORMAT, LEAVE, REFUSED
from .lifespan import Lifespan
from .outgoing import Outgoing
from .websocket import Socket
from .wire import BODY, CLOSED, GONE, GRANT, MESSAGE, PING, REQUEST, RESET, TRAY, UPLOAD

# The methods of a conversation for the events that concern one.
METHODS = {BODY: "on_body", GONE: "on_gone", GRANT: "on_grant", MESSAGE: "on_message", CLOSED: "on_closed"}

# What runs an app, by the type of the scope.
CONVERSATIONS = {"http": Request, "websocket": Socket}

# How many messages are read before the loop looks at something else.
_AT_A_TIME = 64

# A request comes with the descriptors of its scope and of its body, at most.
_ANCILLARY = wire.CMSG_SPACE(2 * 4)

# The part of graceful_timeout that is kept for what the app does at its end, at
# most so many seconds.
_LAST_PART = 0.1
_LAST_MOST = 3.0

# How many of the requests that graceful_timeout cuts off the log names.
_NAMED = 20

# How long the app may take for its end when it is to end at once.
_QUICK = 1.0


class Server(Outgoing):
    """What serves an app in this process. There is one."""

    def __init__(self, worker):
        super().__init__(worker.slots[0], worker.log)
        self.worker = worker
        self.app = worker.wsgi
        self.cells = worker.board
        self.revocations = wire.Revocations(worker.board)
        self.requests = {}  # conversations that run, by their number
        self.state = {}  # of the lifespan
        self.known = {}  # scopes without what is a request's own, by the form in which they came
        self.hooks = None
        self.stopping = False
        self.expired = False  # graceful_timeout is about to end
        self.extra = 0  # for WebSocket connections it lasts longer
        # Seconds until a task is cancelled whose client has gone; None: never.
        self.grace = worker.cfg.get("asgi_disconnect_grace_period")
        # send() raises then.
        self.strict = worker.cfg.get("asgi_send_after_disconnect") == "raise"
        self.graceful = worker.cfg.get("graceful_timeout") or 0
        self.until = None  # when graceful_timeout is over, by the clock of the loop
        self.over = None  # a future: nothing is left to do
        self.plain = False  # tasks are asyncio's own
        self.eager = False  # these take their first steps at once
        self.lifespan = None
        self.conversations = {}
        for name, kind in CONVERSATIONS.items():
            self.conversations[name] = type(kind.__name__, (kind,), {"server": self, "log": worker.log})
        self.buffer = wire.buffer()
        self.tray = wire.Tray(self.cells, 0)
        self.tray_wanted = deque()  # conversations that wait for it
        worker.forks.add(self._let_go)

    # Life

    def start(self):
        """Makes the loop, and starts the app."""
        worker = self.worker
        self.loop = loop = worker.loop or new_loop(worker)
        self.over = loop.create_future()
        self._listen_for_signals()
        mode = worker.cfg.get("asgi_lifespan") or "auto"
        if mode != "off":
            self.lifespan = Lifespan(self.app, self.state, worker.log, mode)
            loop.run_until_complete(self.lifespan.startup())
        # A task factory of the app's has its reasons.
        self.plain = loop.get_task_factory() is None
        self.eager = self.plain and sys.version_info >= (3, 12)
        if worker.cfg.hooks or worker.log.error_log.isEnabledFor(logging.DEBUG):
            from . import asgihooks

            self.hooks = asgihooks.of(worker)

    def _listen_for_signals(self):
        """Has signals wake the loop: one may come just before it begins to wait, when
        the interpreter has looked for them last."""
        read, write = os.pipe()
        for fd in (read, write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)

        def woken():
            try:
                os.read(read, 4096)
            except BlockingIOError:
                pass

        self.loop.add_reader(read, woken)

    def serve(self):
        """Serves until the worker is to end, and ends the app."""
        loop = self.loop
        self.sock.setblocking(False)
        loop.add_reader(self.sock, self.read)
        if self.worker.stopping:
            self.stop()
        try:
            with self.worker.forks:
                loop.run_until_complete(self.over)
                loop.run_until_complete(self._end())
        finally:
            self._close()

    def _let_go(self):
        """Takes from a fork of this process what is the worker's. The loop is not to turn in
        it: what that waits for belongs to both."""
        forks, loop = self.worker.forks, self.loop
        forker = asyncio.current_task(loop)

        def back(*args):
            # Other tasks may have a turn yet: what they say is the worker's.
            if asyncio.current_task(loop) is forker:
                forks.returned(*args)

        def turn(*args):
            if forker is None or not forker.done():
                self.log.error(
                    "Process %s, which was forked from worker %s, ends: it cannot wait in the event loop of the worker",
                    os.getpid(),
                    self.worker.pid,
                )
                forks.leave(SystemExit(1))
            forks.returned(forker)

        self.stopping = True
        self.put = self.put_file = self.look = self.tray.put = self.tray.clear = back
        self.begin = self.flush = self.uncork = self.room = self._pong = self._orphaned = turn
        for kind in self.conversations.values():
            kind.failed = kind.unfinished = kind.cancelled = back
            kind.wait_writer = kind.await_tray = kind.await_window = back  # it sends, for which it would wait
        if self.worker.cfg.kind == "tornado":
            self.app.let_go(back)
        # What a thread has done for a task is told by this.
        loop.call_soon_threadsafe = forks.returned
        loop.call_soon(turn)
        ready = getattr(loop, "_ready", None)  # of asyncio's own
        if ready:
            ready.rotate(1)

    def call(self, function):
        """Has the loop call function. For signal handlers."""
        try:
            self.loop.call_soon_threadsafe(function)
        except (AttributeError, RuntimeError):
            pass  # there is none yet, or it is closed

    def stop(self):
        """Begins no more requests, and ends when those that run are done."""
        if self.stopping:
            return
        self.stopping = True
        graceful = left = self.graceful
        if self.cells[wire.BOARD_END]:
            # The server ends, and has waited for its requests already.
            left = self.cells[wire.BOARD_END] / 1000 - time.monotonic()
        self.until = self.loop.time() + max(left, min(graceful, ending.LEAST))
        limit = max(0, left - min(_LAST_MOST, graceful * _LAST_PART))
        for conversation in self.requests.values():
            if conversation.stays():
                # The front does not know yet if the signal was not the master's.
                self.put(dumps((LEAVE, conversation.number), FORMAT))
                break
        self.loop.call_later(limit, self.expire)
        self.look()

    def quit(self):
        """Ends at once, as far as the app lets it."""
        self.stopping = True
        self.until = None
        self.expire(quick=True)

    def expire(self, quick=False):
        if self.over.done() or (self.expired and not quick):
            return
        self.expired = True
        stay = 0 if quick else self.worker.cfg.get("websocket_drain_max") or 0
        late = [c for c in self.requests.values() if not (stay and c.stays())]
        if late and not quick:
            self.log.warning("Worker graceful timeout (pid:%s)", self.worker.pid)
            for conversation in late[:_NAMED]:
                self.log.info("%s is cut off by graceful_timeout", conversation.describe())
            if len(late) > _NAMED:
                self.log.info("%d more are cut off by graceful_timeout", len(late) - _NAMED)
        for conversation in late:
            conversation.task.cancel()
        if len(late) < len(self.requests):
            # These may stay for longer; the front ends them.
            self.extra = stay
            self.worker.until += stay
            self.loop.call_later(stay, self.expire, True)
        else:
            # One that does not heed that is left behind.
            self.loop.call_later(_QUICK / 2, self._finish)
        self.look()

    def look(self):
        """Finds out whether there is nothing left to do."""
        if self.stopping and not self.requests:
            self._finish()

    def _finish(self):
        if not self.over.done():
            self.over.set_result(None)

    async def _end(self):
        self.loop.remove_reader(self.sock)
        # What was sent must reach the front. It reads always, so this is short.
        while self.backlog and not self.lost:
            await self.room()
        # The front gives to others what was not read.
        self.sock.close()
        if self.lifespan:
            limit = _QUICK
            if self.until is not None:
                limit = max(_QUICK / 2, self.until + self.extra - self.loop.time() - _QUICK / 4)
            await self.lifespan.shutdown(limit)

    def _close(self):
        """Ends what the app has left running."""
        loop = self.loop
        try:
            left = [task for task in asyncio.all_tasks(loop) if not task.done()]
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=_QUICK / 2))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            if not loop.is_running():
                loop.close()

    # Messages from the front

    def read(self):
        receive = self.sock.recvmsg_into
        buffer = self.buffer
        buffers = [buffer]
        flags = wire.MSG_CMSG_CLOEXEC
        requests = self.requests
        self.corked = True
        for _ in range(_AT_A_TIME):
            try:
                size, ancillary, _, _ = receive(buffers, _ANCILLARY, flags)
            except BlockingIOError:
                break
            except OSError:
                size = 0
            if not size:
                self._orphaned()
                break
            for kind, number, a, b in loads(buffer):
                if kind <= UPLOAD:
                    self.begin(kind, number, a, b, ancillary)
                elif kind == PING:
                    self._pong(number, a)
                elif kind == TRAY:
                    self.on_tray()
                elif kind == RESET:
                    self._reset(number)
                else:
                    conversation = requests.get(number)
                    if conversation is not None:
                        getattr(conversation, METHODS[kind])(a, b)
            a = b = None
            # Their answers go together, while the front is busy with the next ones.
            if self.eager:
                self.flush()
            else:
                self.loop.call_soon(self.flush)
        if self.eager:
            self.uncork()
        else:
            # The tasks take their first steps before that, in the same turn.
            self.loop.call_soon(self.uncork)

    def begin(self, kind, number, scope, body, ancillary):
        cells = self.cells
        if self.stopping:
            self.put(dumps((LEAVE, number), FORMAT))
            wire.close_all(wire.descriptors(ancillary))
            return
        # The claim comes first: see wire.Revocations.
        cells[wire.BOARD_FIRST + wire.BOARD_CLAIMED] = number
        revocations = self.revocations
        revoked = cells[wire.BOARD_REVOCATIONS] != revocations.seen or number in revocations.ids
        if revoked and revocations.include(number):
            wire.close_all(wire.descriptors(ancillary))
            self.put(dumps((REFUSED, number), FORMAT))
            return
        if number >> wire.ID_BITS != cells[wire.BOARD_FRONT] - 1:
            wire.close_all(wire.descriptors(ancillary))
            return
        if type(body) is not bytes:
            try:
                scope, body = wsgi.received(number, scope, body, wire.descriptors(ancillary))
            except Exception:
                self.log.exception("Error handling request (no URI read)")
                self.put(dumps((ERROR, number), FORMAT))
                return
            if body is None:
                return
        rest, method, path, raw_path, query, client = scope
        known = self.known.get(rest)
        if known is None:
            known = self.recall(rest)
        scope = known.copy()
        if method is not None:
            scope["method"] = method
        else:
            scope["subprotocols"] = scope["subprotocols"].copy()
        scope["path"] = path
        scope["raw_path"] = raw_path
        scope["query_string"] = query
        scope["client"] = client
        # What the app might change.
        scope["headers"] = scope["headers"].copy()
        scope["asgi"] = scope["asgi"].copy()
        scope["extensions"] = scope["extensions"].copy()
        scope["state"] = self.state.copy()
        conversation = self.conversations[scope["type"]]()
        conversation.number = number
        conversation.scope = scope
        if kind == UPLOAD:
            conversation.more = True
        if body or kind == REQUEST:
            conversation.body = body
        self.requests[number] = conversation
        worker = self.worker
        worker.nr = count = worker.nr + 1
        if count >= worker.max_requests:
            worker.exhausted()
        if self.hooks is not None:
            run = conversation.run(self.hooks(conversation), scope)
        else:
            run = conversation.run(self.app, scope)
        if self.eager:
            task = asyncio.Task(run, loop=self.loop, eager_start=True)
        elif self.plain:
            task = asyncio.Task(run, loop=self.loop)
        else:
            task = self.loop.create_task(run)
        conversation.task = task

    def recall(self, rest):
        """Returns a scope that lacks only what is a request's own, made of the rest,
        and has it remembered: clients send the same fields again and again."""
        # A dict whose table has room for all keys, so that its copies need not grow.
        scope = dict.fromkeys(("method", "path", "raw_path", "query_string", "client", "state"))
        scope.update(loads(rest))
        del scope["method"]
        if len(rest) <= wsgi.KNOWN_SIZE:
            if len(self.known) >= wsgi.KNOWN:
                self.known.clear()
            self.known[rest] = scope
        return scope

    def _pong(self, number, sent):
        cells = self.cells
        cells[wire.BOARD_PING] = number
        cells[wire.BOARD_LAG] = lag = max(0, time.monotonic_ns() - sent) // 1000
        if lag > cells[wire.BOARD_MOST_LAG]:
            cells[wire.BOARD_MOST_LAG] = lag

    def on_tray(self):
        """The tray is free, perhaps."""
        if self.tray_wanted and self.tray.is_free():
            self.tray_wanted[0].wake_writers()

    def _reset(self, front):
        """The clients of other fronts have gone."""
        for number, conversation in list(self.requests.items()):
            if number >> wire.ID_BITS != front:
                conversation.on_gone()

    def _orphaned(self):
        """There is neither a front nor a master that could start one."""
        self.lost = True
        self.loop.remove_reader(self.sock)
        if not self.worker.stopping:
            self.worker.orphaned = True
        for conversation in list(self.requests.values()):
            conversation.on_gone()
        self.stop()


def new_loop(worker):
    """Makes the loop of this process."""
    loop = _new_loop(worker.cfg.get("asgi_loop") or "auto", worker.log)
    asyncio.set_event_loop(loop)
    return loop


def _new_loop(name, log):
    if name != "asyncio":
        try:
            import uvloop

            return uvloop.new_event_loop()
        except ImportError:
            if name == "uvloop":
                log.warning("uvloop not available, falling back to asyncio")
    return asyncio.new_event_loop()
