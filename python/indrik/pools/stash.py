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
    "delete",
    "delete_table",
    "ensure",
    "exists",
    "get",
    "info",
    "keys",
    "put",
    "table",
    "tables",
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


class StashClient:
    """Asks the front. timeout is for an operation, in seconds. It holds no connection, and may be
    shared by threads."""

    def __init__(self, timeout: float = 30.0) -> None:
        self.timeout = timeout

    def _ask(self, operation: int, table: str = "", key: object = _MISSING, value: bytes = b"") -> Any:
        encoded = b"" if key is _MISSING else tlv.encode(key)
        complete = False
        try:
            connection = connect()
            try:
                connection.stash(operation, table, encoded, value)
                kind, payload = connection.receive(self.timeout)
                answer = tlv.decode(payload)
                complete = True
            finally:
                (connection.release if complete else connection.close)()
        except (DirtyError, OSError, ValueError) as e:
            raise StashError("Stash operation failed: %s" % (str(e) or type(e).__name__)) from e
        if kind == callconn.RESULT:
            return answer
        error = DirtyError.from_dict(answer)
        if isinstance(error, StashTableNotFoundError):
            raise StashTableNotFoundError(table)
        if isinstance(error, StashKeyNotFoundError):
            raise StashKeyNotFoundError(table, key)
        raise error if isinstance(error, StashError) else StashError(error.message)

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
        found: List[Any] = self._ask(_KEYS, table)
        return found if pattern is None else [key for key in found if fnmatch.fnmatchcase(str(key), pattern)]

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
get = _client.get
delete = _client.delete
keys = _client.keys
clear = _client.clear
info = _client.info
ensure = _client.ensure
exists = _client.exists
delete_table = _client.delete_table
tables = _client.tables
table = _client.table
