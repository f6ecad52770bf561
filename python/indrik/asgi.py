"""An ASGI worker: its event loop, the messages of the front, and the requests.

read() is the hot path: it takes as many messages as there are, and starts a task
for each request. What the app answers until all of them have run goes to the
front in one message.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections import deque
from marshal import dumps, loads

from . import ending, stacks, wire, wsgi, wsgienviron
from .asgihttp import HTTPConversation
from .asgiloop import listen_for_signals, new_loop
from .lifespan import Lifespan
from .protocol import (
    EVENT_BUFFER_FREE,
    EVENT_PING,
    EVENT_REQUEST,
    EVENT_RESET,
    EVENT_TRACE,
    EVENT_UPLOAD,
    ID_BITS,
    REPLY_ERROR,
    REPLY_LEAVE,
    REPLY_REFUSED,
    SCOREBOARD_CLAIMED,
    SCOREBOARD_END,
    SCOREBOARD_FRONT,
    SCOREBOARD_LAG,
    SCOREBOARD_MOST_LAG,
    SCOREBOARD_PING,
    SCOREBOARD_REVOCATIONS,
    SCOREBOARD_THREAD,
    SCOREBOARD_TURN,
)
from .sendqueue import SendQueue
from .websocket import WebSocketConversation
from .wire import FORMAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Deque, Dict, List, Optional, Type

    from .conversation import ASGIApp, Conversation
    from .wire import Ancillary
    from .worker import Worker

# The class of a conversation, by the type of its scope.
CONVERSATIONS: Dict[str, Type[Conversation]] = {"http": HTTPConversation, "websocket": WebSocketConversation}

CLAIMED = wire.slot_word(0, SCOREBOARD_CLAIMED)
_THREAD = wire.slot_word(0, SCOREBOARD_THREAD)

# How many messages are read before the loop looks at something else.
_AT_A_TIME = 64

# The part of graceful_timeout that is kept for the app's shutdown, at most so many seconds.
_LAST_PART, _LAST_MOST = 0.1, 3.0

# How many of the requests that graceful_timeout cuts off the log names.
_NAMED = 20

# How many seconds the app's shutdown may take when the worker is to end at once.
_QUICK = 1.0


class ASGIServer(SendQueue):
    """Serves an app in this process. There is one."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker.slots[0], worker.log)
        self.worker = worker
        self.app: ASGIApp = worker.wsgi
        self.scoreboard = worker.scoreboard
        self.revocations = wire.Revocations(worker.scoreboard)
        self.requests: Dict[int, Conversation] = {}  # those that run, by id
        self.state: Dict[str, Any] = {}  # of the lifespan
        self.known: Dict[bytes, Dict[str, Any]] = {}  # scopes that lack the values that are a request's own
        self.hooks: Optional[Callable[[Conversation], ASGIApp]] = None
        self.stopping = False
        self.expired = False  # graceful_timeout is about to end
        self.extra = 0.0  # seconds that WebSocket connections have beyond graceful_timeout
        # Seconds until a task is cancelled whose client has gone; None: never.
        self.grace: Optional[float] = worker.cfg.get("asgi_disconnect_grace_period")
        # send() raises then.
        self.strict = worker.cfg.get("asgi_send_after_disconnect") == "raise"
        self.graceful = worker.cfg.get("graceful_timeout") or 0
        self.until: Optional[float] = None  # when graceful_timeout is over, by the clock of the loop
        self.over: asyncio.Future[None]  # nothing is left to do
        self.limit: int  # of requests: see Worker
        self.plain = False  # tasks are asyncio's own
        self.eager = False  # these take their first steps at once
        self.usual: Optional[Callable[[int], List[Any]]] = None  # begins usual requests, and returns the rest
        # Tasks and threads that requests begin can be told from others.
        self.traced = bool(worker.cfg.get("slow_request_log"))
        self.lifespan: Optional[Lifespan] = None
        self.conversations: Dict[str, Any] = {}
        for name, kind in CONVERSATIONS.items():
            self.conversations[name] = type(kind.__name__, (kind,), {"server": self, "log": worker.log})
        self.buffer = wire.receive_buffer()
        self.response_buffer = wire.ResponseBuffer(self.scoreboard, 0)
        self.arena = wire.ResponseArena(self.scoreboard, 0)
        self.buffer_waiters: Deque[Conversation] = deque()
        worker.forks.add(self._disarm)

    # Life

    def start(self) -> None:
        """Makes the loop, and starts the app."""
        worker = self.worker
        self.loop = loop = worker.loop or new_loop(worker)
        self.over = loop.create_future()
        self.scoreboard[_THREAD] = threading.get_ident()
        listen_for_signals(loop)
        mode = worker.cfg.get("asgi_lifespan") or "auto"
        if mode != "off":
            self.lifespan = Lifespan(self.app, self.state, worker.log, mode)
            loop.run_until_complete(self.lifespan.startup())
        # An app that has set a task factory has its reasons.
        self.plain = loop.get_task_factory() is None
        self.eager = self.plain and sys.version_info >= (3, 12)
        if worker.cfg.hooks or worker.log.error_log.isEnabledFor(logging.DEBUG):
            from . import asgihooks

            self.hooks = asgihooks.of(worker)

    def serve(self) -> None:
        """Serves until the worker is to end, and ends the app."""
        loop = self.loop
        self.limit = self.worker.limit
        self.sock.setblocking(False)
        loop.add_reader(self.sock, self.read)
        if self.worker.beat is not None:
            self.worker.beat.in_loop(self)
        if self.worker.stopping:
            self.stop()
        try:
            with self.worker.forks:
                own: Any = self.worker.own
                if hasattr(own, "_serve"):
                    loop.run_until_complete(own._serve())
                else:
                    loop.run_until_complete(self.over)
                    loop.run_until_complete(self._end())
        finally:
            self._close()

    async def serve_requests(self) -> None:
        """Is serve() for a worker class of one's own that does something around it."""
        await self.over
        await self._end()

    def _disarm(self) -> None:
        """Takes the worker's things from a fork of this process. The loop must not turn in the
        fork: both processes share the descriptors that it waits for."""
        forks, loop = self.worker.forks, self.loop
        forker = asyncio.current_task(loop)

        def back(*args: object) -> None:
            # Other tasks may still have a turn: their messages are the worker's.
            if asyncio.current_task(loop) is forker:
                forks.returned(*args)

        def turn(*args: object) -> None:
            if forker is None or not forker.done():
                self.log.error(
                    "Process %s, which was forked from worker %s, ends: it cannot wait in the event loop of the worker",
                    os.getpid(),
                    self.worker.pid,
                )
                forks.leave(SystemExit(1))
            forks.returned(forker)

        self.stopping = True
        vars(self).update(dict.fromkeys(("put", "put_file", "finish_if_idle"), back))
        vars(self).update(dict.fromkeys(("begin", "flush", "uncork", "await_drain", "_pong", "_orphaned"), turn))
        vars(self.response_buffer).update(put=back, clear=back)
        self.arena.disarm()
        for kind in self.conversations.values():
            kind.failed = kind.unfinished = kind.cancelled = back
            kind.wait_writer = kind.await_buffer = kind.await_window = back  # a task that waits here is about to send
        if self.worker.cfg.kind == "tornado":
            worker_app: Any = self.app
            worker_app.disarm(back)
        # A thread that has done something for a task calls this.
        vars(loop)["call_soon_threadsafe"] = forks.returned
        loop.call_soon(turn)
        ready = getattr(loop, "_ready", None)  # of asyncio's own
        if ready:
            ready.rotate(1)

    def call(self, function: Callable[[], object]) -> None:
        """Has the loop call function. For signal handlers."""
        try:
            self.loop.call_soon_threadsafe(function)
        except (AttributeError, RuntimeError):
            pass  # there is none yet, or it is closed

    def stop(self) -> None:
        """Begins no more requests, and ends when those that run are done."""
        if self.stopping:
            return
        self.stopping = True
        graceful = left = self.graceful
        if self.scoreboard[SCOREBOARD_END]:
            # The server ends, and has waited for its requests already.
            left = self.scoreboard[SCOREBOARD_END] / 1000 - time.monotonic()
        self.until = self.loop.time() + max(left, min(graceful, ending.LEAST))
        limit = max(0, left - min(_LAST_MOST, graceful * _LAST_PART))
        for conversation in self.requests.values():
            if conversation.stays():
                # The front does not know of a signal that was not the master's.
                self.put(dumps((REPLY_LEAVE, conversation.id), FORMAT))
                break
        self.loop.call_later(limit, self.expire)
        self.finish_if_idle()

    def quit(self) -> None:
        """Ends at once, as far as the app lets it."""
        self.stopping = True
        self.until = None
        self.expire(quick=True)

    def expire(self, quick: bool = False) -> None:
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
            conversation.cancel()
        if len(late) < len(self.requests):
            # These may stay for longer; the front ends them.
            self.extra = stay
            if self.worker.until is not None:
                self.worker.until += stay
            self.loop.call_later(stay, self.expire, True)
        else:
            # A task that ignores its cancellation is left behind.
            self.loop.call_later(_QUICK / 2, self._finish)
        self.finish_if_idle()

    def finish_if_idle(self) -> None:
        """Ends serve() once the worker is to end and no conversation runs."""
        if self.stopping and not self.requests:
            self._finish()

    def _finish(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    async def _end(self) -> None:
        self.loop.remove_reader(self.sock)
        # All messages must reach the front, which reads always, so this is short.
        while self.backlog and not self.lost:
            await self.await_drain()
        # The front gives requests that were not read to other workers.
        self.sock.close()
        if self.lifespan:
            limit = _QUICK
            if self.until is not None:
                limit = max(_QUICK / 2, self.until + self.extra - self.loop.time() - _QUICK / 4)
            await self.lifespan.shutdown(limit)

    def _close(self) -> None:
        """Ends the tasks that the app has left running."""
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

    def read(self) -> None:
        receive, buffer = self.sock.recvmsg_into, self.buffer
        buffers = [buffer]
        ancillary_size, flags = wire.ANCILLARY_SIZE, wire.RECEIVE_FLAGS
        requests, usual = self.requests, self.usual
        self.scoreboard[SCOREBOARD_TURN] = len(requests) + 1
        self.corked = True
        for _ in range(_AT_A_TIME):
            try:
                size, ancillary, _, _ = receive(buffers, ancillary_size, flags)
            except BlockingIOError:
                break
            except OSError:
                size = 0
            if not size:
                self._orphaned()
                break
            self.revocations.message_came()
            for kind, request_id, a, b in loads(buffer) if usual is None or ancillary else usual(size):
                if kind <= EVENT_UPLOAD:
                    self.begin(kind, request_id, a, b, ancillary)
                elif kind == EVENT_PING:
                    self._pong(request_id, a)
                elif kind == EVENT_BUFFER_FREE:
                    self.wake_buffer_waiter()
                elif kind == EVENT_RESET:
                    self._reset(request_id)
                else:
                    conversation = requests.get(request_id)
                    if conversation is not None:
                        conversation.EVENTS[kind](conversation, a, b)
                    elif kind == EVENT_TRACE:
                        self._trace(a)
            a = b = None
            # The responses of a batch go together, while the front makes the next one.
            if self.eager:
                self.flush()
            else:
                self.loop.call_soon(self.flush)
        if self.eager:
            self.uncork()
        else:
            # The tasks take their first steps before that, in the same turn.
            self.loop.call_soon(self.uncork)

    def uncork(self) -> None:
        self.scoreboard[SCOREBOARD_TURN] = 0
        super().uncork()

    def begin(self, kind: int, request_id: int, scope: Any, body: Any, ancillary: Ancillary) -> None:
        scoreboard = self.scoreboard
        if self.stopping:
            self.put(dumps((REPLY_LEAVE, request_id), FORMAT))
            wire.close_all(wire.descriptors(ancillary))
            return
        # The claim comes first: see wire.Revocations.
        scoreboard[CLAIMED] = request_id
        revocations = self.revocations
        revoked = scoreboard[SCOREBOARD_REVOCATIONS] != revocations.seen or request_id in revocations.ids
        if revoked and revocations.include(request_id):
            wire.close_all(wire.descriptors(ancillary))
            self.put(dumps((REPLY_REFUSED, request_id), FORMAT))
            return
        if request_id >> ID_BITS != scoreboard[SCOREBOARD_FRONT] - 1:
            wire.close_all(wire.descriptors(ancillary))
            return
        if type(body) is not bytes:
            try:
                scope, body = wsgi.received(request_id, scope, body, wire.descriptors(ancillary))
            except Exception:
                self.log.exception("Error handling request (no URI read)")
                self.put(dumps((REPLY_ERROR, request_id), FORMAT))
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
        # The app might change these.
        scope["headers"] = scope["headers"].copy()
        scope["asgi"] = scope["asgi"].copy()
        scope["extensions"] = scope["extensions"].copy()
        scope["state"] = self.state.copy()
        conversation = self.conversations[scope["type"]]()
        conversation.id = request_id
        conversation.scope = scope
        if kind == EVENT_UPLOAD:
            conversation.more = True
        if body or kind == EVENT_REQUEST:
            conversation.body = body
        self.requests[request_id] = conversation
        worker = self.worker
        worker.nr = count = worker.nr + 1
        if count >= self.limit:
            worker.reached_limit()
        if self.hooks is not None:
            run = conversation.run(self.hooks(conversation), scope)
        else:
            run = conversation.run(self.app, scope)
        if self.eager:
            task = asyncio.Task(run, loop=self.loop, eager_start=True)  # type: ignore[call-arg]
        elif self.plain:
            task = asyncio.Task(run, loop=self.loop)
        else:
            task = self.loop.create_task(run)
        conversation.task = task

    def recall(self, rest: bytes) -> Dict[str, Any]:
        """Returns a scope that lacks only the values that are a request's own. It is made of the
        rest, which clients send again and again, and remembered."""
        # A dict whose table has room for all keys, so that its copies need not grow.
        scope: Dict[str, Any] = dict.fromkeys(("method", "path", "raw_path", "query_string", "client", "state"))
        scope.update(loads(rest))
        del scope["method"]
        if len(rest) <= wsgienviron.KNOWN_SIZE:
            if len(self.known) >= wsgienviron.KNOWN:
                self.known.clear()
            self.known[rest] = scope
        return scope

    def _trace(self, number: int) -> None:
        self.traced = True
        self.worker.write_stacks(lambda: stacks.of_tasks(number, self.requests, asyncio.all_tasks(self.loop)))

    def _pong(self, number: int, sent: int) -> None:
        scoreboard = self.scoreboard
        scoreboard[SCOREBOARD_PING] = number
        scoreboard[SCOREBOARD_LAG] = lag = max(0, time.monotonic_ns() - sent) // 1000
        if lag > scoreboard[SCOREBOARD_MOST_LAG]:
            scoreboard[SCOREBOARD_MOST_LAG] = lag

    def wake_buffer_waiter(self) -> None:
        """Wakes the first conversation that waits for the response buffer, if that is free."""
        if self.buffer_waiters and self.response_buffer.is_free():
            self.buffer_waiters[0].wake_writers()

    def _reset(self, front: int) -> None:
        """Takes note that the clients of all other fronts have gone."""
        for request_id, conversation in list(self.requests.items()):
            if request_id >> ID_BITS != front:
                conversation.on_gone()

    def _orphaned(self) -> None:
        """Ends the worker, since there is neither a front nor a master that could start one."""
        self.lost = True
        self.loop.remove_reader(self.sock)
        if not self.worker.stopping:
            self.worker.orphaned = True
        for conversation in list(self.requests.values()):
            conversation.on_gone()
        self.stop()
