"""Calls of pools, from any worker of an app, or from one of a pool.

A client holds no connection: each call takes one of the process's own, and gives it back when
its answer is complete. So clients may be shared by threads, greenlets and tasks, and calls of
one client run beside each other. A call that is given up (its time is over, its task is
cancelled, its stream is closed early) closes its connection, and that cancels it in the pool.
"""

from __future__ import annotations

import socket
import time

from .. import callconn
from . import tlv
from .errors import DirtyConnectionError, DirtyError, DirtyProtocolError, DirtyTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Dict, Optional, Tuple, Type

# The time for a call, and between two parts of a stream, in seconds: Gunicorn's.
TIMEOUT = 30.0


def connect() -> callconn.Connection:
    """Returns a connection for one call. Raises DirtyError."""
    try:
        return callconn.open()
    except callconn.NoPools as e:
        raise DirtyError(str(e)) from None
    except OSError as e:
        raise DirtyConnectionError("There is no way to the pools: %s" % e) from e


class DirtyClient:
    """Calls apps of pools.

    timeout is the time for a call, and for all of a stream, in seconds; None if the caller sets
    no limit, and the pool's own (dirty_timeout) is the only one. idle_timeout is that between
    two parts of a stream, at most 30 seconds if it is not given.
    """

    def __init__(self, timeout: Optional[float] = TIMEOUT, *, idle_timeout: Optional[float] = None) -> None:
        for seconds in (timeout, idle_timeout):
            if seconds is not None and not (isinstance(seconds, (int, float)) and seconds > 0):
                raise TypeError("a timeout of a pool's client is a number of seconds above 0, not %r" % (seconds,))
        self.timeout = timeout
        self.idle_timeout = idle_timeout

    def execute(self, app_path: str, action: str, *args: Any, **kwargs: Any) -> Any:
        """Calls an action, waits, and returns its result. Raises DirtyError."""
        call = _Call(self, app_path, action, args, kwargs)
        return call.result(*call.receive())

    async def execute_async(self, app_path: str, action: str, *args: Any, **kwargs: Any) -> Any:
        """Likewise, in a task of asyncio. If the task is cancelled the call is."""
        call = _Call(self, app_path, action, args, kwargs)
        return call.result(*await call.receive_async())

    def stream(self, app_path: str, action: str, *args: Any, **kwargs: Any) -> DirtyStreamIterator:
        """Returns what an action makes part by part. The call begins with the first part that is
        asked for, and the pool is only so far ahead as buffers reach."""
        return DirtyStreamIterator(self, app_path, action, args, kwargs)

    def stream_async(self, app_path: str, action: str, *args: Any, **kwargs: Any) -> DirtyAsyncStreamIterator:
        """Likewise, for a task of asyncio."""
        return DirtyAsyncStreamIterator(self, app_path, action, args, kwargs)

    # Gunicorn's clients have a connection to open and to close.

    def connect(self) -> None:
        """Raises DirtyError if this process has no way to pools."""
        connect().release()

    def close(self) -> None:
        """Does nothing."""

    async def connect_async(self) -> None:
        self.connect()

    async def close_async(self) -> None:
        """Does nothing."""

    def __enter__(self) -> DirtyClient:
        self.connect()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        pass

    async def __aenter__(self) -> DirtyClient:
        self.connect()
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        pass


class _Call:
    """One call: it has begun when there is the object, and has a connection until its answer is
    complete or it is given up."""

    def __init__(
        self, client: DirtyClient, app_path: str, action: str, args: Tuple[Any, ...], kwargs: Dict[str, Any]
    ) -> None:
        payload = tlv.encode([args, kwargs])
        self.name = "%s.%s" % (app_path, action)
        self.timeout = client.timeout
        self.until = None if client.timeout is None else time.monotonic() + client.timeout
        self.connection: Optional[callconn.Connection] = connect()
        try:
            self.connection.call(app_path, action, payload, client.timeout)
        except OSError as e:
            raise self._broken(e) from e
        except ValueError as e:  # it is too large
            self.give_up()
            raise DirtyProtocolError(str(e)) from None
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Cancels the call, if its answer is not complete."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def _broken(self, e: Exception) -> DirtyConnectionError:
        self.give_up()
        return DirtyConnectionError("The way to the pool is closed, while %s was called: %s" % (self.name, e))

    def _limit(self, idle: Optional[float]) -> Tuple[Optional[float], bool]:
        """Returns for how long to wait for a message, and whether it is the deadline that ends it."""
        if self.until is None:
            return idle, False
        left = max(self.until - time.monotonic(), 0)
        return (left, True) if idle is None or left <= idle else (idle, False)

    def _late(self, seconds: Optional[float], deadline: bool) -> DirtyTimeoutError:
        self.give_up()
        if deadline:
            return DirtyTimeoutError("%s is not done after %s s" % (self.name, self.timeout), self.timeout)
        return DirtyTimeoutError("Timeout waiting for next chunk of %s (idle %s s)" % (self.name, seconds), seconds)

    def receive(self, idle: Optional[float] = None) -> Tuple[int, Any]:
        """Returns the next message, with its value."""
        assert self.connection is not None
        seconds, deadline = self._limit(idle)
        try:
            return self._take(*self.connection.receive(seconds))
        except (TimeoutError, socket.timeout):  # two classes before Python 3.10
            raise self._late(seconds, deadline) from None
        except OSError as e:
            raise self._broken(e) from e
        except BaseException:
            self.give_up()
            raise

    async def receive_async(self, idle: Optional[float] = None) -> Tuple[int, Any]:
        """Likewise, in a task of asyncio."""
        from .nextmessage import next_message  # only here: it needs asyncio, which threads do not

        assert self.connection is not None
        seconds, deadline = self._limit(idle)
        try:
            return self._take(*await next_message(self.connection, seconds))
        except TimeoutError:
            raise self._late(seconds, deadline) from None
        except OSError as e:
            raise self._broken(e) from e
        except BaseException:
            self.give_up()
            raise

    def _take(self, kind: int, payload: tlv.Data) -> Tuple[int, Any]:
        if kind == callconn.END:
            value = None
        elif kind in (callconn.CHUNK, callconn.RESULT, callconn.ERROR):
            value = tlv.decode(payload)
        else:
            raise DirtyProtocolError("Unknown message of a pool: %d" % kind)
        if kind != callconn.CHUNK and self.connection is not None:
            connection, self.connection = self.connection, None
            connection.release()
        if kind == callconn.ERROR:
            raise DirtyError.from_dict(value)
        return kind, value

    def result(self, kind: int, value: Any) -> Any:
        """Returns the result that a message brings."""
        if kind != callconn.RESULT:
            self.give_up()
            raise DirtyError("%s makes a stream: call it by stream() or stream_async()" % self.name)
        return value


class _Stream:
    """What the iterators of streams have in common."""

    def __init__(
        self, client: DirtyClient, app_path: str, action: str, args: Tuple[Any, ...], kwargs: Dict[str, Any]
    ) -> None:
        self._begin = (client, app_path, action, args, kwargs)
        self._idle = client.idle_timeout
        if self._idle is None and client.timeout is not None:
            self._idle = min(TIMEOUT, client.timeout)
        self._call: Optional[_Call] = None
        self._ended = False

    def _started(self) -> _Call:
        if self._call is None:
            self._call = _Call(*self._begin)
        return self._call

    def _part(self, kind: int, value: Any) -> Any:
        """Returns the part that a message brings. At the end there is none."""
        if kind != callconn.CHUNK:
            self._ended = True
        # A result of an action that makes no stream is the only part.
        return value

    def close(self) -> None:
        """Ends the stream: the pool stops making it."""
        self._ended = True
        if self._call is not None:
            self._call.give_up()

    def __del__(self) -> None:
        self.close()


class DirtyStreamIterator(_Stream):
    """The parts of a stream. Close it, or use it in a with statement, where it may end early: as
    an iterable that a WSGI app returns it is closed by the server."""

    def __iter__(self) -> DirtyStreamIterator:
        return self

    def __next__(self) -> Any:
        if self._ended:
            raise StopIteration
        try:
            kind, value = self._started().receive(self._idle)
        except BaseException:
            self._ended = True
            raise
        part = self._part(kind, value)
        if kind == callconn.END:
            raise StopIteration
        return part

    def __enter__(self) -> DirtyStreamIterator:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


class DirtyAsyncStreamIterator(_Stream):
    """The parts of a stream, for a task of asyncio. Close it, or use it in an async with
    statement, where it may end early."""

    def __aiter__(self) -> DirtyAsyncStreamIterator:
        return self

    async def __anext__(self) -> Any:
        if self._ended:
            raise StopAsyncIteration
        try:
            kind, value = await self._started().receive_async(self._idle)
        except BaseException:
            self._ended = True
            raise
        part = self._part(kind, value)
        if kind == callconn.END:
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        """Ends the stream: the pool stops making it."""
        self.close()

    async def __aenter__(self) -> DirtyAsyncStreamIterator:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def get_dirty_client(timeout: Optional[float] = TIMEOUT) -> DirtyClient:
    """Returns a client, as Gunicorn's function of this name. Raises DirtyError if this process
    has no way to pools."""
    if not callconn.available():
        connect().release()
    return DirtyClient(timeout)


async def get_dirty_client_async(timeout: Optional[float] = TIMEOUT) -> DirtyClient:
    return get_dirty_client(timeout)


def close_dirty_client() -> None:
    """Does nothing: clients hold no connection."""


async def close_dirty_client_async() -> None:
    """Does nothing: clients hold no connection."""
