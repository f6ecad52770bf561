"""What runs in a worker of a pool: its apps, and their actions.

Python cannot end a thread. So an action that is a plain function runs to its end even if its call
was cancelled, unless it asks cancelled() now and then; a generator is closed at its next part;
and what is asynchronous is cancelled where it waits, as tasks of asyncio are.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import queue
import threading
import traceback

from .. import callconn
from . import stash, tlv
from .app import UnknownActionError, load_dirty_app
from .current import current
from .errors import (
    DirtyAppNotFoundError,
    DirtyProtocolError,
    DirtyResultError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, AsyncIterator, Awaitable, Callable, Coroutine, Dict, Iterable, Iterator, Optional

    from ..glogging import Logger
    from .current import Call

# How many parts an asynchronous generator may be ahead of what was sent.
_AHEAD = 16

# The most of a message or a traceback that is sent, in characters.
_MAX_TEXT = 48 << 10


class EventLoop:
    """The event loop of what is asynchronous in this process. It begins with the first of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._thread: Optional[threading.Thread] = None

    def submit(self, work: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="pool-loop", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Has a function be called in the loop, which runs already."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function, *args)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def close(self) -> None:
        """Ends the loop, and cancels what runs in it."""
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


class Work:
    """What a call does in the event loop, in one task. That is cancelled at most once, when the call
    is or by cancel: a second time would interrupt what it does to end. done has its result; the
    next call of the same slot must not begin before, since both are watched by the same descriptor."""

    def __init__(self, loop: EventLoop, call: Call, work: Coroutine[Any, Any, Any]) -> None:
        self._loop = loop
        self._call = call
        self._task: Optional[asyncio.Task[Any]] = None
        self._cancelled = False
        self.done = loop.submit(self._run(work))

    def cancel(self) -> None:
        self._loop.call(self._cancel)

    async def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        if self._cancelled:
            work.close()
            raise asyncio.CancelledError
        self._task = asyncio.current_task()
        loop, fd = asyncio.get_running_loop(), self._call.fileno()

        def look() -> None:
            loop.remove_reader(fd)
            if self._call.cancelled():
                self._cancel()

        loop.add_reader(fd, look)
        try:
            return await work
        finally:
            loop.remove_reader(fd)

    def _cancel(self) -> None:
        """Runs in the loop."""
        if not self._cancelled:
            self._cancelled = True
            if self._task is not None:
                self._task.cancel()


class Apps:
    """The apps of this worker."""

    def __init__(self, log: Logger) -> None:
        self.log = log
        self.apps: Dict[str, Any] = {}
        self._loop = EventLoop()

    def load(self, paths: Iterable[str]) -> None:
        """Imports and initialises the apps, and makes the tables of the stash that they name."""
        for path in paths:
            app = self.apps[path] = load_dirty_app(path)
            self.log.debug("Loaded dirty app: %s", path)
            for table in getattr(app, "stashes", ()):
                stash.ensure(table)
            self._complete(app.init())
            self.log.info("Initialized dirty app: %s", path)

    def close(self) -> None:
        """Closes the apps. An error of one does not keep the others from it."""
        for path, app in self.apps.items():
            try:
                self._complete(app.close())
                self.log.debug("Closed dirty app: %s", path)
            except Exception as e:
                self.log.error("Error closing dirty app %s: %s", path, e)
        self._loop.close()

    def _complete(self, result: Any) -> Any:
        """Returns a result, once it is there."""
        return self._loop.submit(_awaited(result)).result() if inspect.isawaitable(result) else result

    def run(self, app: str, action: str, payload: tlv.Data, call: Call) -> None:
        """Runs an action and sends its result, or its error. Raises nothing."""
        token = current.set(call)
        try:
            try:
                self._run(app, action, payload, call)
            except callconn.Cancelled:
                raise
            except BaseException as e:
                # SystemExit too: that a call ends the worker would harm others.
                if call.cancelled():
                    raise callconn.Cancelled from None
                call.emit(callconn.ERROR, self._error(app, action, e))
        except callconn.Cancelled:
            self.log.debug("Nobody waits for %s.%s any longer", app, action)
        finally:
            current.reset(token)

    def _run(self, app: str, action: str, payload: tlv.Data, call: Call) -> None:
        target = self.apps.get(app)
        if target is None:
            raise DirtyAppNotFoundError(app)
        args, kwargs = _arguments(payload)
        result = target(action, *args, **kwargs)
        if inspect.isawaitable(result):
            result = Work(self._loop, call, _awaited(result)).done.result()
        if hasattr(result, "__anext__"):
            self._stream_async(call, result)
        elif hasattr(result, "__next__"):
            self._stream(call, result)
        else:
            _emit(call, callconn.RESULT, result)

    def _stream(self, call: Call, parts: Iterator[Any]) -> None:
        try:
            for part in parts:
                _emit(call, callconn.CHUNK, part)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        call.emit(callconn.END, b"")

    def _stream_async(self, call: Call, parts: AsyncIterator[Any]) -> None:
        """Sends what an asynchronous generator makes. It runs in one task from its beginning to
        its end, so that what it opens it can close, and is a few parts ahead at most."""
        made: queue.SimpleQueue[Any] = queue.SimpleQueue()
        end = object()

        async def pump() -> None:
            try:
                async for part in parts:
                    await room.acquire()
                    made.put(part)
            finally:
                try:
                    close = getattr(parts, "aclose", None)
                    if close is not None:
                        await close()
                finally:
                    made.put(end)

        async def started() -> asyncio.Semaphore:
            return asyncio.Semaphore(_AHEAD)

        # Before Python 3.10 it belongs to the loop that runs where it is made.
        room = self._loop.submit(started()).result()
        work = Work(self._loop, call, pump())
        try:
            while True:
                part = made.get()
                if part is end:
                    break
                _emit(call, callconn.CHUNK, part)
                self._loop.call(room.release)
        except BaseException:
            work.cancel()
            concurrent.futures.wait([work.done])
            raise
        work.done.result()
        call.emit(callconn.END, b"")

    def _error(self, app: str, action: str, error: BaseException) -> bytes:
        """Returns an exception in the form in which the caller gets it."""
        shown = _clean("".join(traceback.format_exception(type(error), error, _below(error.__traceback__))))
        try:
            message = _clean(str(error)) or type(error).__name__
        except Exception:
            message = type(error).__name__
        if isinstance(error, (DirtyAppNotFoundError, DirtyResultError)):
            kind = type(error).__name__
        elif isinstance(error, UnknownActionError):
            kind = "DirtyActionNotFoundError"
        else:
            kind = "DirtyAppError"
            self.log.error("Error executing %s.%s: %s\n%s", app, action, message, shown)
        described = {
            "error_type": kind,
            "message": message,
            "details": {
                "app_path": app,
                "action": action,
                "exception": type(error).__qualname__,
                "traceback": shown,
            },
        }
        return tlv.encode(described)


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def _clean(text: str) -> str:
    """Returns a text without what UTF-8 cannot have, cut in the middle if it is long."""
    if len(text) > _MAX_TEXT:
        text = text[: _MAX_TEXT // 2] + "\n[...]\n" + text[-_MAX_TEXT // 2 :]
    return text.encode("utf-8", "backslashreplace").decode()


def _arguments(payload: tlv.Data) -> Any:
    value = tlv.decode(payload)
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], list) and isinstance(value[1], dict)):
        raise DirtyProtocolError("The arguments of a call are a list and a dict")
    return value


def _emit(call: Call, kind: int, value: object) -> None:
    try:
        call.emit(kind, tlv.encode(value))
    except DirtyProtocolError as e:
        raise DirtyResultError("The result cannot be sent: %s" % e.message) from None
    except ValueError as e:  # it is too large
        raise DirtyResultError("The result cannot be sent: %s" % e) from None


def _below(trace: Any) -> Any:
    """Returns a traceback without the frames of this module at its beginning."""
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    return trace
