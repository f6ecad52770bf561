"""The loop of a slot: takes requests from the queue, claims them, and runs the
app (PEP 3333).

serve() is the hot path. Whatever a small response does not need is elsewhere.
"""

from __future__ import annotations

import logging
import select
import sys
from functools import partial
from io import BytesIO
from marshal import dumps, loads
from threading import get_ident
from time import perf_counter

from . import bodyarena, hookview, timelimit, wire
from .log import redacted
from .protocol import (
    MAX_MESSAGE,
    REPLY_END,
    REPLY_ERROR,
    REPLY_REFUSED,
    REPLY_RESPONSE,
    SCOREBOARD_GONE,
    SCOREBOARD_REVOCATIONS,
    SCOREBOARD_THREAD,
)
from .wire import FORMAT, MAX_COPIED, MIN_PLACED, ClientGone, FrontGone, Late
from .wsgienviron import constants, recall
from .wsgiresponse import WSGIResponse
from .wsgiwebsocket import Handshake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap
    from socket import socket
    from typing import Any, BinaryIO, Callable, Dict, Iterable, List, Optional, Tuple, Union

    from .wire import Data
    from .worker import Worker
    from .workerclass import Beat
    from .wsgiresponse import Environ

    # Runs one request. Returns the message with the response if that is not sent yet.
    Answer = Callable[[WSGIResponse, Environ], Optional[bytes]]

# How long replies wait for those to the other requests of a batch, in seconds.
PATIENCE = 0.002


class SlotResponse(WSGIResponse):
    """A response of a slot that reads the queue. While the slot runs a batch, responses that
    are one message go into the journal."""

    journal: wire.ReplyJournal
    in_batch = False

    def _send(self, data: bytes, *ancillary: Tuple[int, int, bytes]) -> None:
        self.journal.flush()  # the front counts on replies in their order
        WSGIResponse._send(self, data, *ancillary)

    def _send_whole(self, data: bytes) -> None:
        if self.in_batch:
            self.journal.put(data)  # if close() takes long the front takes it from there
        else:
            WSGIResponse._send(self, data)


def _sender(sock: socket) -> Callable[[Data], None]:
    """Returns a function that sends a message, or raises FrontGone."""
    write = sock.send

    def send(data: Data) -> None:
        try:
            write(data)
        except OSError as e:
            raise FrontGone(str(e)) from None

    return send


def _response_class(worker: Worker, index: int, journal: wire.ReplyJournal) -> Any:
    """Returns the class of the responses of one slot. Attributes that all of them share are its
    own, so that they are not set for each."""
    arena = wire.ResponseArena(worker.scoreboard, index)
    shared = {
        "sock": worker.slots[index],
        "response_buffer": wire.ResponseBuffer(worker.scoreboard, index),
        "arena": arena,
        "scoreboard": worker.scoreboard,
        "gone": wire.slot_word(index, SCOREBOARD_GONE),
        "journal": journal,
    }
    response: Any = type("Response", (SlotResponse,), shared)

    def disarm() -> None:
        """Takes the slot's things from a fork of this process."""
        returned: Any = worker.forks.returned
        vars(journal).update(put=returned, flush=returned)
        arena.disarm()
        for name in ("put", "send", "whole", "finish", "file", "cut"):
            setattr(response, name, returned)

    worker.forks.add(disarm)
    return response


def serve(worker: Worker, index: int) -> None:
    """Serves requests in one slot until the queue ends; raises FrontGone if
    responses cannot be sent."""
    receive = worker.queue.recvmsg_into
    send = _sender(worker.slots[index])
    scoreboard = worker.scoreboard
    memory: mmap = scoreboard.obj  # type: ignore[assignment]
    own = wire.claim_slice(index)
    scoreboard[wire.slot_word(index, SCOREBOARD_THREAD)] = get_ident()
    revocations = wire.Revocations(scoreboard)
    journal = wire.ReplyJournal(scoreboard, index, send)
    make = _response_class(worker, index, journal)
    common = constants(worker)
    common.update(timelimit.functions(worker.timeout, scoreboard, index, worker.slots[index]))
    hooked = with_hooks(worker)
    answer = hooked or without_hooks(worker)
    beat = worker.beat if index == 0 and not worker.threaded else None
    limit = worker.limit
    buffer = wire.receive_buffer()
    buffers = [buffer]
    ancillary_size, flags = wire.ANCILLARY_SIZE, wire.RECEIVE_FLAGS
    environ: Any
    opened: Any = None
    known: Dict[bytes, Environ] = {}
    run_usual: Optional[Callable[[int], List[Any]]] = None
    if worker.speed is not None and hooked is None:
        from . import wsgispeed

        run_usual = wsgispeed.runner(worker, index, make, journal, revocations, buffer, common, known)

    while True:
        try:
            size, ancillary, _, _ = receive(buffers, ancillary_size, flags)
        except BlockingIOError:
            _wait(worker.queue, beat)
            continue
        if not size:
            return
        revocations.message_came()
        requests = loads(buffer) if run_usual is None or ancillary else run_usual(size)
        left = len(requests)
        in_batch = left > 1
        if in_batch:
            until = perf_counter() + PATIENCE
        for request_id, claim, rest, method, target, path, query, address, port, length, body in requests:
            left -= 1
            memory[own] = claim
            if (
                scoreboard[SCOREBOARD_REVOCATIONS] != revocations.seen or request_id in revocations.ids
            ) and revocations.include(request_id):
                wire.close_all(wire.descriptors(ancillary))
                journal.flush()
                send(dumps((REPLY_REFUSED, claim), FORMAT))
                continue
            if rest is not None:
                template = known.get(rest)
                if template is None:
                    template = recall(known, rest, common)
                environ = template.copy()
                environ["REQUEST_METHOD"] = method
                environ["RAW_URI"] = target
                environ["PATH_INFO"] = target if path is None else path
                environ["QUERY_STRING"] = query
                environ["REMOTE_ADDR"] = address
                if port is not None:
                    environ["REMOTE_PORT"] = port
                if length is not None:
                    environ["CONTENT_LENGTH"] = length
            else:
                environ = None

            response = make()
            response.id = request_id
            response.ref = claim
            if in_batch:
                response.in_batch = True
            try:
                if type(body) is bytes:
                    environ["wsgi.input"] = BytesIO(body)
                else:
                    environ, body = received(request_id, environ, body, wire.descriptors(ancillary))
                    if body is None:
                        continue
                    environ.update(common)
                    opened = give(worker, response, environ, body)
                environ["wsgi.early_hints"] = response.early_hints
                worker.nr = count = worker.nr + 1
                if count >= limit:
                    worker.reached_limit()
                data = answer(response, environ)
            except BaseException:
                data = failed(worker, response, environ)
            if data is not None:
                if in_batch:
                    journal.put(data)
                else:
                    send(data)
            if opened is not None:
                opened.close()
                opened = None
            if left and perf_counter() >= until:
                journal.flush()
        if in_batch:
            journal.flush()
        if beat is not None:
            beat()
        # An idle worker must not keep objects of its last requests.
        requests = rest = template = target = path = query = environ = body = response = data = None


def without_hooks(worker: Worker) -> Answer:
    """Returns a function that runs a request."""
    app: Callable[..., Any] = worker.wsgi

    def answer(response: WSGIResponse, environ: Environ) -> Optional[bytes]:
        result = app(environ, response.start_response)
        if (
            type(result) is list
            and len(result) == 1
            and type(result[0]) is bytes
            and len(result[0]) <= MAX_COPIED
            and response.status is not None
            and not response.started
        ):
            body: Any = result[0]
            if len(body) >= MIN_PLACED:
                body = response._placed(body)
            data = dumps((REPLY_RESPONSE, response.ref, response.status, response.headers, body), FORMAT)
            if len(data) <= MAX_MESSAGE:
                return data
        response.respond(result, environ["REQUEST_METHOD"])
        return None

    return answer


def run(worker: Worker, hooked: Optional[Answer], response: WSGIResponse, environ: Environ) -> None:
    """Runs one request, whose environ is complete, where speed does not matter most."""
    try:
        if hooked is not None:
            hooked(response, environ)
        else:
            result = worker.wsgi(environ, response.start_response)
            response.respond(result, environ["REQUEST_METHOD"])
    except BaseException:
        fail(worker, response, environ)


def fail(worker: Worker, response: WSGIResponse, environ: Optional[Environ]) -> None:
    """Handles an exception that reached the server, and tells the front."""
    data = failed(worker, response, environ)
    if data is not None:
        try:
            response._send(data)
        except OSError as e:
            raise FrontGone(str(e)) from None


def _wait(queue: socket, beat: Optional[Beat]) -> None:
    """Waits for a request when the receive did not: its time limit is over, or
    another process made the descriptor non-blocking."""
    if beat is not None:
        beat()
    poll = select.poll()
    poll.register(queue, select.POLLIN)
    poll.poll(None if beat is None else beat.every * 1000)


# The functions that a slot can be in while it waits for a request.
WAITING = (serve.__code__, _wait.__code__)


def received(
    request_id: int, environ: Optional[Environ], body: Any, fds: Iterable[int]
) -> Tuple[Any, Union[bytes, BinaryIO, int, None]]:
    """Returns the environ (or scope) and the body of a request, parts of which came by
    descriptors. The body is bytes or a file, None if the request is over, or 0 if the request
    is a handshake of WebSocket."""
    fds = list(fds)
    if environ is None:
        with open(wire.take(fds), "rb") as f:
            f.seek(0)
            environ, body = loads(f.read())
    if body is None:
        body = open(wire.take(fds), "rb")
        body.seek(0)
    elif type(body) is tuple:
        body = bodyarena.read(wire.take(fds), request_id, body)
    return environ, body


def give(
    worker: Worker, response: WSGIResponse, environ: Environ, body: Union[bytes, BinaryIO, int]
) -> Union[BinaryIO, Handshake, None]:
    """Gives the app a body that received() has returned. The result is to be closed after the
    request."""
    if isinstance(body, bytes):
        environ["wsgi.input"] = BytesIO(body)
        return None
    if isinstance(body, int):
        environ["wsgi.input"] = BytesIO()
        response.web_socket = Handshake(worker, response, environ)
        return response.web_socket  # type: ignore[no-any-return]
    environ["wsgi.input"] = body
    return body


def failed(worker: Worker, response: WSGIResponse, environ: Optional[Environ]) -> Optional[bytes]:
    """Handles an exception that reached the server: returns the message to the
    front, or None if there is none to send."""
    if worker.forks.forked:
        worker.forks.leave(sys.exc_info()[1])
    if worker.leaving:
        raise  # noqa: PLE0704 - the caller handles an exception
    if response.lost or isinstance(sys.exc_info()[1], FrontGone):
        raise FrontGone
    if isinstance(sys.exc_info()[1], Late):
        return None
    if isinstance(sys.exc_info()[1], ClientGone):
        worker.log.debug("Ignoring EPIPE")
        response.done = True
        return dumps((REPLY_END if response.started else REPLY_ERROR, response.ref), FORMAT)
    if response.web_socket is not None and response.web_socket.is_usual_end(sys.exc_info()[1]):
        return response.web_socket.end()  # type: ignore[no-any-return]
    if response.started:
        worker.log.exception("Error handling request")
    elif environ is None:
        worker.log.exception("Error handling request (no URI read)")
    else:
        uri = redacted(environ.get("RAW_URI"), worker.cfg.get("log_redact"))
        worker.log.exception("Error handling request %s %s", environ.get("REQUEST_METHOD"), uri)
    if response.done:
        return None
    response.done = True
    return dumps((REPLY_ERROR, response.ref), FORMAT)


def with_hooks(worker: Worker) -> Optional[Answer]:
    """Returns a function that runs a request with the hooks around it, None if
    there are none."""
    log, cfg, shown = worker.log, worker.cfg, worker.shown
    app: Callable[..., Any] = worker.wsgi
    before = cfg.hooks.get("pre_request")
    after = cfg.hooks.get("post_request")
    if before is None and log.error_log.isEnabledFor(logging.DEBUG):

        def before(worker: Any, req: hookview.Request) -> None:
            worker.log.debug("%s %s", req.method, req.path)

    around = None
    if worker.own is not None:
        from . import workerclass  # already imported, by the spawner

        around = workerclass.request_runner(worker.own)
    if before is None and after is None and around is None:
        return None

    def respond(response: WSGIResponse, environ: Environ, req: hookview.Request) -> None:
        failed = False
        try:
            if before is not None:
                with worker.forks:
                    before(shown, req)
            if before is not None or around is not None:
                req.apply(environ)
            result = app(environ, response.start_response)
            response.respond(result, environ["REQUEST_METHOD"])
        except BaseException:
            failed = True
            fail(worker, response, environ)
            if around is not None:
                raise  # for the worker class to see
        finally:
            result = None
            if after is not None and not worker.leaving:
                try:
                    with worker.forks:
                        after(shown, req, environ, hookview.Response(response, failed))
                except Exception:
                    log.exception("Exception in post_request hook")

    def answer(response: WSGIResponse, environ: Environ) -> None:
        req = hookview.Request(environ)
        if around is None:
            respond(response, environ, req)
        else:
            try:
                around(req, partial(respond, response, environ, req))
                if not response.done:
                    raise RuntimeError("handle_request() of the worker class has let the request go without an answer")
            except BaseException:
                if not response.done:
                    fail(worker, response, environ)
        worker.heed()

    return answer
