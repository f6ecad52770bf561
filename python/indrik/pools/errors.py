"""What can go wrong with a call of a pool, each with its class.

The classes that Gunicorn has too are Gunicorn's: they are gunicorn.dirty.errors. An error comes
back to the caller as a dict (see DirtyError.to_dict) from a process that may be hostile, so
from_dict takes any value, and makes nothing but classes of this module of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Dict, Optional, Tuple


class PoolTraceback(Exception):
    """The cause of an error of a pool: the traceback of the pool's worker, as text, so that
    the traceback of the caller shows it."""

    def __str__(self) -> str:
        return '\n"""\n%s"""' % (self.args[0] if self.args else "")


class DirtyError(Exception):
    """Something went wrong with a call. message is the text, details is what else is known."""

    # The details that are attributes too.
    _fields: ClassVar[Tuple[str, ...]] = ()

    def __init__(self, message: str, details: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: Dict[str, Any] = details or {}

    def __str__(self) -> str:
        shown = {name: value for name, value in self.details.items() if name != "traceback"}
        return "%s: %s" % (self.message, shown) if shown else self.message

    def __reduce__(self) -> Tuple[Any, ...]:
        # What pickle and copy need, since the classes take arguments of their own.
        return DirtyError.from_dict, (self.to_dict(),)

    def to_dict(self) -> Dict[str, Any]:
        """Returns the form that goes from one process to another."""
        return {"error_type": type(self).__name__, "message": self.message, "details": self.details}

    @classmethod
    def from_dict(cls, data: Any) -> DirtyError:
        """Returns the error that to_dict was called of, as far as data says one."""
        data = data if isinstance(data, dict) else {}
        name, details = data.get("error_type"), data.get("details")
        kind = _CLASSES.get(name, DirtyError) if isinstance(name, str) else DirtyError
        error = kind.__new__(kind)
        error.message = str(data.get("message", "unknown error"))
        error.details = details if isinstance(details, dict) else {}
        error.args = (error.message,)
        for field in kind._fields:
            setattr(error, field, error.details.get(field))
        traceback = error.details.get("traceback")
        if isinstance(traceback, str):
            error.__cause__ = PoolTraceback(traceback)
        return error


def _details(**details: Any) -> Dict[str, Any]:
    return {name: value for name, value in details.items() if value is not None}


class DirtyTimeoutError(DirtyError):
    """The time for a call is over: its deadline, that of the caller, or that of the next part of
    a stream. timeout is in seconds."""

    _fields = ("timeout",)

    def __init__(self, message: str = "Operation timed out", timeout: Optional[float] = None) -> None:
        super().__init__(message, _details(timeout=timeout))
        self.timeout = timeout


class DirtyConnectionError(DirtyError):
    """The way to the pools is closed: the server ends, or was never there. Whether the call ran
    is not known."""

    _fields = ("socket_path",)

    def __init__(self, message: str = "Connection failed", socket_path: Optional[str] = None) -> None:
        super().__init__(message, _details(socket_path=socket_path))
        self.socket_path = socket_path


class DirtyWorkerError(DirtyError):
    """The worker that ran the call is gone. worker_id is its pid."""

    _fields = ("worker_id", "traceback")

    def __init__(self, message: str, worker_id: Optional[int] = None, traceback: Optional[str] = None) -> None:
        super().__init__(message, _details(worker_id=worker_id, traceback=traceback))
        self.worker_id = worker_id
        self.traceback = traceback


class DirtyAppError(DirtyError):
    """The app has raised an exception. traceback is the pool's, as text."""

    _fields = ("app_path", "action", "traceback")

    def __init__(
        self,
        message: str,
        app_path: Optional[str] = None,
        action: Optional[str] = None,
        traceback: Optional[str] = None,
    ) -> None:
        super().__init__(message, _details(app_path=app_path, action=action, traceback=traceback))
        self.app_path = app_path
        self.action = action
        self.traceback = traceback


class DirtyAppNotFoundError(DirtyAppError):
    """No pool has that app."""

    def __init__(self, app_path: str) -> None:
        super().__init__("Dirty app not found: %s" % app_path, app_path=app_path)


class DirtyActionNotFoundError(DirtyAppError):
    """The app has no such action."""


class DirtyResultError(DirtyAppError):
    """The action has returned, or its generator has made, what cannot be sent: a value of a type
    that the encoding does not have, or one that is too large."""


class DirtyNoWorkersAvailableError(DirtyError):
    """No worker of the pool has the app now: those that had it have died, and others are not
    there yet. It may be worth to try again in a moment."""

    _fields = ("app_path",)

    def __init__(self, app_path: str, message: Optional[str] = None) -> None:
        super().__init__(message or "No workers available for app: %s" % app_path, {"app_path": app_path})
        self.app_path = app_path


class DirtyPoolFullError(DirtyError):
    """As many calls wait for the pool as may."""

    _fields = ("pool", "app_path")

    def __init__(self, message: str, pool: Optional[str] = None, app_path: Optional[str] = None) -> None:
        super().__init__(message, _details(pool=pool, app_path=app_path))
        self.pool = pool
        self.app_path = app_path


class DirtyProtocolError(DirtyError):
    """A value cannot be encoded, or what came cannot be decoded."""

    def __init__(self, message: str = "Protocol error", raw_data: Optional[object] = None) -> None:
        if isinstance(raw_data, bytes):
            raw_data = raw_data[:100].hex()
        super().__init__(message, {} if raw_data is None else {"raw_data": str(raw_data)[:200]})


class StashError(DirtyError):
    """Something went wrong with the stash."""


class StashTableNotFoundError(StashError):
    """There is no such table."""

    _fields = ("table_name",)

    def __init__(self, table_name: str) -> None:
        super().__init__("Stash table not found: %s" % table_name)
        self.table_name = table_name


class StashKeyNotFoundError(StashError):
    """The table has no such key."""

    _fields = ("table_name", "key")

    def __init__(self, table_name: str, key: object) -> None:
        super().__init__("Key not found in %s: %s" % (table_name, key))
        self.table_name = table_name
        self.key = key


class StashFullError(StashError):
    """The stash has no room for the value. limit is its size in bytes."""

    _fields = ("limit",)

    def __init__(self, message: str, limit: Optional[int] = None) -> None:
        super().__init__(message, _details(limit=limit))
        self.limit = limit


_CLASSES = {
    kind.__name__: kind
    for kind in (
        DirtyError,
        DirtyTimeoutError,
        DirtyConnectionError,
        DirtyWorkerError,
        DirtyAppError,
        DirtyAppNotFoundError,
        DirtyActionNotFoundError,
        DirtyResultError,
        DirtyNoWorkersAvailableError,
        DirtyPoolFullError,
        DirtyProtocolError,
        StashError,
        StashTableNotFoundError,
        StashKeyNotFoundError,
        StashFullError,
    )
}
