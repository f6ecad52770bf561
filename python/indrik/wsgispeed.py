"""A slot that reads the queue with the compiled code of indrik-speed: what that is given, and
what it calls when something is not usual."""

from __future__ import annotations

from io import BytesIO
from itertools import chain
from marshal import dumps, loads

from . import wire, wsgi, wsgienviron
from .protocol import (
    JOURNAL_SIZE,
    MAX_MESSAGE,
    REPLY_REFUSED,
    SCOREBOARD_JOURNALED,
    SCOREBOARD_PART,
    SCOREBOARD_REVOCATIONS,
)
from .wire import FORMAT, MIN_PLACED
from .wsgiresponse import FileWrapper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap
    from typing import Any, Callable, Dict, Iterable, List, Optional

    from .worker import Worker
    from .wsgiresponse import Environ, Headers, WSGIResponse


def runner(
    worker: Worker,
    index: int,
    make: Callable[[], Any],
    journal: wire.ReplyJournal,
    revocations: wire.Revocations,
    buffer: mmap,
    common: Environ,
    known: Dict[bytes, Environ],
) -> Callable[[int], List[Any]]:
    """Returns a function that runs the requests of a message, which is so many bytes in buffer,
    as serve() does, and returns those that are not usual, for serve() to run."""
    memory: Any = worker.scoreboard.obj

    def whole(request_id: int, claim: bytes, status: Optional[str], headers: Optional[Headers], done: bool) -> Any:
        response = make()
        response.id, response.ref, response.in_batch = request_id, claim, slot.in_batch
        response.status, response.headers = status, headers
        response.started = response.done = done
        return response

    def respond(response: WSGIResponse, result: Any, environ: Environ) -> None:
        response.respond(result, environ["REQUEST_METHOD"])

    def resume(response: WSGIResponse, result: Any, item: Any, rest: Iterable[Any]) -> None:
        try:
            response.iterate(chain((item,), rest))
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def failed(error: BaseException, response: WSGIResponse, environ: Environ) -> Optional[bytes]:
        try:
            raise error
        except BaseException:
            return wsgi.failed(worker, response, environ)

    def refused(claim: bytes) -> None:
        journal.flush()
        journal.send(dumps((REPLY_REFUSED, claim), FORMAT))

    slot = worker.speed.Slot(
        app=worker.wsgi,
        worker=worker,
        send=journal.send,
        journal=journal,
        common=common,
        known=known,
        loads=loads,
        input=BytesIO,
        file_wrapper=FileWrapper,
        buffer=buffer,
        recall=wsgienviron.recall,
        whole=whole,
        failed=failed,
        respond=respond,
        resume=resume,
        refused=refused,
        returned=worker.forks.returned,
        revocations=revocations,
        memory=memory,
        claim_at=wire.claim_slice(index).start,
        revocations_at=8 * SCOREBOARD_REVOCATIONS,
        journaled_at=8 * wire.slot_word(index, SCOREBOARD_JOURNALED),
        journal_at=len(memory) - (index + 1) * SCOREBOARD_PART,
        journal_size=JOURNAL_SIZE,
        most_body=MIN_PLACED - 1,
        most_message=MAX_MESSAGE,
        most_known=wsgienviron.KNOWN_SIZE,
        limit=worker.limit,
    )
    worker.forks.add(slot.disarm)
    run: Callable[[int], List[Any]] = slot.run

    def handle(size: int) -> List[Any]:
        # In a frame of its own, so that a thread that waits for a request can be told from one
        # that runs it.
        return run(size)

    return handle
