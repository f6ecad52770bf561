"""The stash: tables of keys and values that all workers of the server share, those of the app and
those of the pools. They are in the memory of the front, whose setting stash_limit bounds them, and
are lost with it.

A key may be any value that a call can send; 1 and "1" are two keys. Each operation asks the
front, waits for its answer, and happens as a whole; what two of them do together may be mixed
with those of others.
"""

from __future__ import annotations

import fnmatch

from .. import callconn
from . import tlv
from .client import connect
from .errors import (
    DirtyError,
    StashError,
    StashFullError,
    StashKeyNotFoundError,
    StashTableNotFoundError,
)

__all__ = [
    "StashClient",
    "StashError",
    "StashFullError",
    "StashKeyNotFoundError",
    "StashTable",
    "StashTableNotFoundError",
    "clear",
    "clear_async",
    "delete",
    "delete_async",
    "delete_table",
    "delete_table_async",
    "ensure",
    "ensure_async",
    "exists",
    "exists_async",
    "get",
    "get_async",
    "info",
    "info_async",
    "keys",
    "keys_async",
    "put",
    "put_async",
    "table",
    "tables",
    "tables_async",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple


# The operations, by Gunicorn's numbers.
_PUT = 1
_GET = 2
_DELETE = 3
_KEYS = 4
_CLEAR = 5
_INFO = 6
_ENSURE = 7
_DELETE_TABLE = 8
_TABLES = 9
_EXISTS = 10

# No key is this one, nor is a value that comes.
_MISSING = object()


class _Question:
    """One operation: a question to the front, and its answer. What goes wrong is a StashError."""

    def __init__(self, table: str, key: object) -> None:
        self.table = table
        self.key = key
        self.encoded = b"" if key is _MISSING else tlv.encode(key)
        self.connection: Optional[callconn.Connection] = None
        self.complete = False

    def ask(self, operation: int, value: bytes) -> callconn.Connection:
        self.connection = connect()
        self.connection.stash(operation, self.table, self.encoded, value)
        return self.connection

    def take(self, kind: int, payload: tlv.Data) -> None:
        self.kind = kind
        self.answer = tlv.decode(payload)
        self.complete = True

    def __enter__(self) -> _Question:
        return self

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        if self.connection is not None:
            (self.connection.release if self.complete else self.connection.close)()
        if isinstance(error, (DirtyError, OSError, ValueError)):
            raise StashError("Stash operation failed: %s" % (str(error) or type(error).__name__)) from error

    def result(self) -> Any:
        """Returns what the answer brings, or raises its error."""
        if self.kind == callconn.RESULT:
            return self.answer
        error = DirtyError.from_dict(self.answer)
        if isinstance(error, StashTableNotFoundError):
            raise StashTableNotFoundError(self.table)
        if isinstance(error, StashKeyNotFoundError):
            raise StashKeyNotFoundError(self.table, self.key)
        raise error if isinstance(error, StashError) else StashError(error.message)


def _fitting(keys: List[Any], pattern: Optional[str]) -> List[Any]:
    return keys if pattern is None else [key for key in keys if fnmatch.fnmatchcase(str(key), pattern)]


class StashClient:
    """Asks the front. timeout is for an operation, in seconds. It holds no connection, and may be
    shared by threads."""

    def __init__(self, timeout: float = 30.0) -> None:
        self.timeout = timeout

    def _ask(self, operation: int, table: str = "", key: object = _MISSING, value: bytes = b"") -> Any:
        with _Question(table, key) as question:
            connection = question.ask(operation, value)
            question.take(*connection.receive(self.timeout))
        return question.result()

    async def _ask_async(self, operation: int, table: str = "", key: object = _MISSING, value: bytes = b"") -> Any:
        from .nextmessage import next_message  # only here: it needs asyncio, which threads do not

        with _Question(table, key) as question:
            connection = question.ask(operation, value)
            question.take(*await next_message(connection, self.timeout))
        return question.result()

    def put(self, table: str, key: object, value: object) -> None:
        """Stores a value, in a table that is made if it is not there."""
        self._ask(_PUT, table, key, tlv.encode(value))

    def get(self, table: str, key: object, default: Any = None) -> Any:
        """Returns the value of a key, or default."""
        try:
            return self._ask(_GET, table, key)
        except StashKeyNotFoundError:
            return default

    def delete(self, table: str, key: object) -> bool:
        """Removes a key, and reports whether it was there."""
        there: bool = self._ask(_DELETE, table, key)
        return there

    def keys(self, table: str, pattern: Optional[str] = None) -> List[Any]:
        """Returns the keys of a table, all of them or those whose text a pattern of fnmatch fits.
        A table that is not there has none."""
        return _fitting(self._ask(_KEYS, table), pattern)

    def clear(self, table: str) -> None:
        """Removes all keys of a table."""
        self._ask(_CLEAR, table)

    def info(self, table: str) -> Dict[str, Any]:
        """Returns the name of a table, and how many keys it has as size. Raises
        StashTableNotFoundError."""
        known: Dict[str, Any] = self._ask(_INFO, table)
        return known

    def ensure(self, table: str) -> None:
        """Makes a table, if it is not there."""
        self._ask(_ENSURE, table)

    def exists(self, table: str, key: object = None) -> bool:
        """Reports whether there is a table, or, with a key, that key in it."""
        there: bool = self._ask(_EXISTS, table) if key is None else self._ask(_EXISTS, table, key)
        return there

    def delete_table(self, table: str) -> bool:
        """Removes a table, and reports whether it was there."""
        there: bool = self._ask(_DELETE_TABLE, table)
        return there

    def tables(self) -> List[str]:
        """Returns the names of the tables."""
        names: List[str] = self._ask(_TABLES)
        return names

    def table(self, name: str) -> StashTable:
        """Returns a table as an object like a dict."""
        return StashTable(self, name)

    # The same for a task of asyncio, whose event loop goes on meanwhile. If the task is cancelled it is
    # not known whether the operation has happened.

    async def put_async(self, table: str, key: object, value: object) -> None:
        await self._ask_async(_PUT, table, key, tlv.encode(value))

    async def get_async(self, table: str, key: object, default: Any = None) -> Any:
        try:
            return await self._ask_async(_GET, table, key)
        except StashKeyNotFoundError:
            return default

    async def delete_async(self, table: str, key: object) -> bool:
        there: bool = await self._ask_async(_DELETE, table, key)
        return there

    async def keys_async(self, table: str, pattern: Optional[str] = None) -> List[Any]:
        return _fitting(await self._ask_async(_KEYS, table), pattern)

    async def clear_async(self, table: str) -> None:
        await self._ask_async(_CLEAR, table)

    async def info_async(self, table: str) -> Dict[str, Any]:
        known: Dict[str, Any] = await self._ask_async(_INFO, table)
        return known

    async def ensure_async(self, table: str) -> None:
        await self._ask_async(_ENSURE, table)

    async def exists_async(self, table: str, key: object = None) -> bool:
        asked = self._ask_async(_EXISTS, table) if key is None else self._ask_async(_EXISTS, table, key)
        there: bool = await asked
        return there

    async def delete_table_async(self, table: str) -> bool:
        there: bool = await self._ask_async(_DELETE_TABLE, table)
        return there

    async def tables_async(self) -> List[str]:
        names: List[str] = await self._ask_async(_TABLES)
        return names

    def close(self) -> None:
        """Does nothing."""

    def __enter__(self) -> StashClient:
        return self

    def __exit__(self, *raised: object) -> None:
        pass


class StashTable:
    """A table of the stash, used like a dict. Iterating takes the keys that there are at the
    beginning."""

    def __init__(self, client: StashClient, name: str) -> None:
        self._client = client
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def __getitem__(self, key: object) -> Any:
        value = self._client.get(self._name, key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key: object, value: object) -> None:
        self._client.put(self._name, key, value)

    def __delitem__(self, key: object) -> None:
        if not self._client.delete(self._name, key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._client.get(self._name, key, _MISSING) is not _MISSING

    def __iter__(self) -> Iterator[Any]:
        return iter(self._client.keys(self._name))

    def __len__(self) -> int:
        try:
            size: int = self._client.info(self._name)["size"]
        except StashTableNotFoundError:
            size = 0
        return size

    def get(self, key: object, default: Any = None) -> Any:
        return self._client.get(self._name, key, default)

    def keys(self, pattern: Optional[str] = None) -> List[Any]:
        return self._client.keys(self._name, pattern)

    def clear(self) -> None:
        self._client.clear(self._name)

    def items(self) -> Iterator[Tuple[Any, Any]]:
        """Yields keys and values. A key that is removed meanwhile is left out."""
        for key in self:
            value = self._client.get(self._name, key, _MISSING)
            if value is not _MISSING:
                yield key, value

    def values(self) -> Iterator[Any]:
        return (value for _, value in self.items())


_client = StashClient()

put = _client.put
put_async = _client.put_async
get = _client.get
get_async = _client.get_async
delete = _client.delete
delete_async = _client.delete_async
keys = _client.keys
keys_async = _client.keys_async
clear = _client.clear
clear_async = _client.clear_async
info = _client.info
info_async = _client.info_async
ensure = _client.ensure
ensure_async = _client.ensure_async
exists = _client.exists
exists_async = _client.exists_async
delete_table = _client.delete_table
delete_table_async = _client.delete_table_async
tables = _client.tables
tables_async = _client.tables_async
table = _client.table
