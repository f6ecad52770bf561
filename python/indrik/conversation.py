"""The part that conversations of an app with a client have in common, in ASGI: the task,
the client that may go, and the flow control of responses."""

from __future__ import annotations

from asyncio import CancelledError
from marshal import dumps

from .protocol import REPLY_ERROR, REPLY_FAIL, RESPONSE_WINDOW
from .stacks import REQUEST
from .wire import FORMAT, ClientGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future, Task, TimerHandle
    from typing import Any, Awaitable, Callable, Dict, List, Mapping, MutableMapping, Optional

    from .asgi import ASGIServer
    from .glogging import Logger

    Scope = MutableMapping[str, Any]
    Message = Mapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
    Waiters = Optional[List[Future[None]]]

GONE = "the client has gone"


class Conversation:
    """One call of the app. A subclass for each worker holds server and log."""

    # The method for each kind of event, of those that concern a single conversation.
    EVENTS: Dict[int, Callable[[Any, Any, Any], None]] = {}

    server: ASGIServer
    log: Logger
    id = 0
    scope: Scope
    task: Optional[Task[None]] = None
    body: Optional[bytes] = None  # came with the request, and was not given to the app yet
    gone = False  # the client
    done = False  # nothing more can be said to the client
    window = RESPONSE_WINDOW  # credit: bytes that may be sent now
    readers: Waiters = None  # futures of the tasks that wait in receive()
    writers: Waiters = None  # the same, in send()
    timer: Optional[TimerHandle] = None  # cancels the task

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Runs the app until it returns."""
        if self.server.traced:
            REQUEST.set(self.id)
        try:
            await app(scope, self.receive, self.send)
            if not self.done:
                self.unfinished()
        except CancelledError:
            self.cancelled()
            raise
        except GeneratorExit:
            raise
        except BaseException as e:
            self.failed(e)
        finally:
            if self.timer is not None:
                self.timer.cancel()
            server = self.server
            del server.requests[self.id]
            if server.stopping:
                server.finish_if_idle()

    async def receive(self) -> Message:
        raise NotImplementedError

    async def send(self, message: Message) -> None:
        raise NotImplementedError

    def stays(self) -> bool:
        """Reports whether it may go on after graceful_timeout."""
        return False

    def cancelled(self) -> None:
        if self.done:
            return
        if self.server.expired:
            self.finish(dumps((REPLY_FAIL, self.id, 504), FORMAT))
            return
        if not self.gone:
            self.log.error("Error in ASGI application: its task was cancelled")
        self.fail()

    def failed(self, error: BaseException) -> None:
        if not (self.gone and _comes_of_client_gone(error)):
            self.log.exception("Error in ASGI application")
        if not self.done:
            self.fail()

    def unfinished(self) -> None:
        """Ends the conversation, whose app has returned too early."""
        raise NotImplementedError

    def fail(self) -> None:
        self.finish(dumps((REPLY_ERROR, self.id), FORMAT))

    def finish(self, data: bytes) -> None:
        """Sends the last message of this conversation."""
        self.done = True
        self.server.put(data)
        if self.readers:
            self.wake_readers()
        if self.writers:
            self.wake_writers()

    # Messages from the front

    def on_gone(self, a: object = None, b: object = None) -> None:
        if self.gone:
            return
        self.gone = True
        self.wake_readers()
        self.wake_writers()
        server = self.server
        if server.grace is None:
            return  # the app may go on to its end
        if server.grace:
            self.timer = server.loop.call_later(server.grace, self.cut)
        else:
            # The task has not begun yet, perhaps.
            server.loop.call_soon(self.cut)

    def on_credit(self, count: int, b: object = None) -> None:
        self.window += count
        if self.window > 0:
            self.wake_writers()

    def cut(self) -> None:
        """Cancels the task because the client has gone."""
        if self.task is not None and not self.task.done():
            self.log.info(
                "%s is cancelled: its client has gone, and asgi_disconnect_grace_period is %s s",
                self.describe(),
                self.server.grace,
            )
            self.task.cancel()

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def describe(self) -> str:
        """Names the request, for the log: by the path as it came, in which there can be no
        line breaks."""
        scope = self.scope
        return "%s %s" % (scope.get("method", "WebSocket"), ascii(scope.get("raw_path", b"").decode("latin-1"))[1:-1])

    def is_over(self) -> bool:
        """Reports whether the client has gone, or the app has returned: a task of the app may
        go on."""
        return self.gone or self.done

    # Waiting

    async def wait_reader(self) -> None:
        future = self.server.loop.create_future()
        if self.readers is None:
            self.readers = [future]
        else:
            self.readers.append(future)
        await future

    async def wait_writer(self) -> None:
        future = self.server.loop.create_future()
        if self.writers is None:
            self.writers = [future]
        else:
            self.writers.append(future)
        await future

    def wake_readers(self) -> None:
        _wake(self.readers)
        self.readers = None

    def wake_writers(self) -> None:
        _wake(self.writers)
        self.writers = None

    async def await_buffer(self) -> None:
        """Waits until this conversation may put a part of its response into the response
        buffer, which it must do at once; raises ClientGone. First come, first served."""
        server = self.server
        buffer, waiters = server.response_buffer, server.buffer_waiters
        if buffer.is_free() and not waiters:
            return
        waiters.append(self)
        takes = False
        try:
            while not (buffer.is_free() and waiters[0] is self) and not self.is_over():
                await self.wait_writer()
            takes = not self.is_over()
        finally:
            waiters.remove(self)
            if not takes:
                server.wake_buffer_waiter()  # it may have been the turn of this one
        if not takes:
            raise ClientGone(GONE)

    async def await_window(self) -> None:
        """Waits until there is credit; raises ClientGone."""
        while self.window <= 0 and not self.is_over():
            await self.wait_writer()
        if self.server.backlog:
            await self.server.await_drain()
        if self.is_over():
            raise ClientGone(GONE)


def _wake(futures: Waiters) -> None:
    if futures:
        for future in futures:
            if not future.done():
                future.set_result(None)


def _comes_of_client_gone(error: Optional[BaseException]) -> bool:
    """Reports whether an exception comes of the ClientGone that send() has raised: frameworks
    put their own in its place."""
    for _ in range(10):
        if error is None:
            return False
        if isinstance(error, ClientGone):
            return True
        error = error.__cause__ or error.__context__
    return False
