"""The loop of a slot: takes requests from the queue, claims them, and runs the
app (PEP 3333).

serve() is the hot path. Whatever a small response does not need is elsewhere.
"""

import logging
import os
import select
import sys
from io import BytesIO
from marshal import dumps, loads
from time import perf_counter

from . import hookview, store, timelimit, wire
from .exchange import COPIED, END, ERROR, FORMAT, REFUSED, RESPONSE, ClientGone, Exchange, FileWrapper, FrontGone, Late
from .log import Errors

# A request comes with the descriptors of its environ and of its body, at most.
_ANCILLARY = wire.CMSG_SPACE(2 * 4)


def constants(worker):
    """Returns the part of the environ that is the same for all requests."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.errors": Errors(),
        "wsgi.multithread": worker.threaded or worker.green,
        "wsgi.multiprocess": worker.processes > 1,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
        "SERVER_SOFTWARE": os.environ.get("SERVER_SOFTWARE", "indrik"),
    }


# What is a request's own in the environ; the queue has it in this order. The last
# two need not be there.
_OWN = ("REQUEST_METHOD", "RAW_URI", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "CONTENT_LENGTH")

# How long answers wait for those to the other requests of a message, in seconds.
PATIENCE = 0.002

# How many of the rests of environs a slot remembers, and up to which size in bytes.
KNOWN = 64
KNOWN_SIZE = 4096


def recall(known, rest, common):
    """Returns an environ that lacks only what is a request's own, made of the rest,
    and has it remembered: clients send the same fields again and again."""
    # A dict whose table has room for all keys, so that its copies need not grow.
    environ = dict.fromkeys(_OWN)
    environ.update(loads(rest))
    environ.update(common)
    environ["wsgi.input"] = environ["wsgi.early_hints"] = None
    del environ["REMOTE_PORT"], environ["CONTENT_LENGTH"]
    if len(rest) <= KNOWN_SIZE:
        if len(known) >= KNOWN:
            known.clear()
        known[rest] = environ
    return environ


def serve(worker, index):
    """Serves requests in one slot until the queue ends; raises FrontGone if
    responses cannot be sent."""
    sock = worker.slots[index]
    receive = worker.queue.recvmsg_into
    cells = worker.board
    cell = wire.BOARD_FIRST + wire.BOARD_STRIDE * index
    memory = cells.obj
    own = wire.claim_of(index)
    revocations = wire.Revocations(cells)
    revoked = wire.BOARD_REVOCATIONS
    app = worker.wsgi
    common = constants(worker)
    common.update(timelimit.functions(worker.timeout, cells, index, sock))
    limit = worker.max_requests
    hooked = with_hooks(worker)
    buffer = wire.buffer()
    buffers = [buffer]
    flags = wire.MSG_CMSG_CLOEXEC
    file = None
    known = {}

    def send(data):
        _send(sock.send, data)

    shelf = wire.Shelf(cells, index, send)

    class Response(Exchange):
        def _send(self, data, *ancillary):
            shelf.flush()  # the front counts on answers in their order
            Exchange._send(self, data, *ancillary)

        def _send_whole(self, data):
            if alone:
                Exchange._send(self, data)
            else:
                shelf.put(data)  # if close() takes long the front takes it from there

    Response.sock = sock
    Response.tray = wire.Tray(cells, index)
    Response.board = cells
    Response.gone = cell + wire.BOARD_GONE

    def let_go():
        returned = worker.forks.returned
        shelf.put = shelf.flush = returned
        Response.put = Response.send = Response.whole = Response.finish = Response.file = Response.cut = returned

    worker.forks.add(let_go)

    while True:
        try:
            size, ancillary, _, _ = receive(buffers, _ANCILLARY, flags)
        except BlockingIOError:
            _wait(worker.queue)
            continue
        if not size:
            return
        requests = loads(buffer)
        left = len(requests)
        alone = left == 1
        if not alone:
            until = perf_counter() + PATIENCE
        for number, claim, rest, method, target, path, query, address, port, length, body in requests:
            left -= 1
            memory[own] = claim
            if (cells[revoked] != revocations.seen or number in revocations.ids) and revocations.include(number):
                wire.close_all(wire.descriptors(ancillary))
                shelf.flush()
                send(dumps((REFUSED, claim), FORMAT))
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

            response = Response()
            response.number = number
            response.id = claim
            try:
                if type(body) is not bytes:
                    environ, body = received(number, environ, body, wire.descriptors(ancillary))
                    if body is None:
                        continue
                    environ.update(common)
                    if type(body) is not bytes:
                        file = body
                environ["wsgi.input"] = BytesIO(body) if file is None else file
                environ["wsgi.early_hints"] = response.early_hints
                worker.nr = count = worker.nr + 1
                if count >= limit:
                    worker.exhausted()

                if hooked is not None:
                    data = hooked(response, environ)
                else:
                    result = app(environ, response.start_response)
                    if (
                        type(result) is list
                        and len(result) == 1
                        and type(result[0]) is bytes
                        and len(result[0]) <= COPIED
                        and response.status is not None
                        and not response.started
                    ):
                        data = dumps((RESPONSE, claim, response.status, response.headers, result[0]), FORMAT)
                        if len(data) > wire.MAX_MESSAGE:
                            data = response.respond(result, None)
                    else:
                        data = response.respond(result, environ["REQUEST_METHOD"])
            except BaseException:
                data = _failed(worker, response, environ)
            if data is not None:
                if alone:
                    send(data)
                else:
                    shelf.put(data)
            if file is not None:
                file.close()
                file = None
            if left and perf_counter() >= until:
                shelf.flush()
        if not alone:
            shelf.flush()
        # An idle worker must not keep what belongs to its last requests.
        requests = rest = template = target = path = query = environ = body = response = result = data = None


def run(worker, hooked, response, environ):
    """Runs one request, whose environ is complete, wherever speed is not all."""
    try:
        if hooked is not None:
            data = hooked(response, environ)
        else:
            result = worker.wsgi(environ, response.start_response)
            data = response.respond(result, environ["REQUEST_METHOD"])
    except BaseException:
        fail(worker, response, environ)
    else:
        if data is not None:
            _send(response._send, data)


def fail(worker, response, environ):
    """Handles an exception that reached the server, and tells the front."""
    data = _failed(worker, response, environ)
    if data is not None:
        _send(response._send, data)


def _send(send, data):
    try:
        send(data)
    except OSError as e:
        raise FrontGone(str(e)) from None


def _wait(queue):
    """Waits for a request when the receive did not: its time limit is over, or
    another process made the descriptor non-blocking."""
    poll = select.poll()
    poll.register(queue, select.POLLIN)
    poll.poll()


# Where a slot can be while it waits for a request.
WAITING = (serve.__code__, _wait.__code__)


def received(number, environ, body, fds):
    """Returns the environ and the body of a request of which some came by descriptors.
    The body is bytes or a file, or None if the request is over."""
    fds = list(fds)
    if environ is None:
        with open(wire.take(fds), "rb") as f:
            f.seek(0)
            environ, body = loads(f.read())
    if body is None:
        body = open(wire.take(fds), "rb")
        body.seek(0)
    elif type(body) is tuple:
        body = store.read(wire.take(fds), number, body)
    return environ, body


def _failed(worker, response, environ):
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
        return dumps((END if response.started else ERROR, response.id), FORMAT)
    if response.started:
        worker.log.exception("Error handling request")
    elif environ is None:
        worker.log.exception("Error handling request (no URI read)")
    else:
        worker.log.exception("Error handling request %s %s", environ.get("REQUEST_METHOD"), environ.get("RAW_URI"))
    if response.done:
        return None
    response.done = True
    return dumps((ERROR, response.id), FORMAT)


def with_hooks(worker):
    """Returns a function that runs a request with the hooks around it, None if
    there are none."""
    log, cfg, app = worker.log, worker.cfg, worker.wsgi
    before = cfg.hooks.get("pre_request")
    after = cfg.hooks.get("post_request")
    if before is None and log.error_log.isEnabledFor(logging.DEBUG):

        def before(worker, req):
            worker.log.debug("%s %s", req.method, req.path)

    if before is None and after is None:
        return None

    def run(response, environ):
        failed = False
        req = hookview.Request(environ)
        try:
            if before is not None:
                with worker.forks:
                    before(worker, req)
                req.apply(environ)
            result = app(environ, response.start_response)
            response.respond(result, environ["REQUEST_METHOD"])
        except BaseException:
            failed = True
            fail(worker, response, environ)
        finally:
            result = None
            if after is not None and not worker.leaving:
                try:
                    with worker.forks:
                        after(worker, req, environ, hookview.Response(response, failed))
                except Exception:
                    log.exception("Exception in post_request hook")
        worker.heed()

    return run
