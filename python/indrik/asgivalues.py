"""The values in the messages of an ASGI app, in the types that the front reads. A value of
another type raises here, in the app: the front would take the worker for broken."""

from __future__ import annotations

from operator import index

from .protocol import MAX_MESSAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Tuple


def status(value: Any) -> int:
    """Returns a status as an exact int: http.HTTPStatus is none."""
    number = int(value)
    if number != value or isinstance(value, bool) or not 100 <= number <= 999:
        raise ValueError("%r is not a status" % (value,))
    return number


def body(data: Any) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError("%r is not made of bytes" % (data,))
    return bytes(data)


def headers(pairs: Iterable[Tuple[Any, Any]]) -> List[Tuple[bytes, bytes]]:
    """Returns a list of its own: the app may change the one that it gave."""
    result: List[Tuple[bytes, bytes]] = []
    for name, value in pairs:
        if type(name) is not bytes or type(value) is not bytes:
            if not isinstance(name, (bytes, bytearray)) or not isinstance(value, (bytes, bytearray)):
                raise TypeError("the header (%r, %r) is not made of bytes" % (name, value))
            name, value = bytes(name), bytes(value)
        result.append((name, value))
    return result


def size(value: Any) -> int:
    """Returns a place in a file, or the size of a part of one, as an exact int."""
    number = index(value)
    if not 0 <= number < 1 << 62:
        raise ValueError("%r bytes are no part of a file" % (value,))
    return number


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("%r is not a string" % (value,))
    return str.__str__(value)


def head(data: bytes) -> bytes:
    """Returns a message with the head of a response, which must not be larger than the
    front reads."""
    if len(data) > MAX_MESSAGE:
        raise ValueError("response head of %d bytes is too large" % len(data))
    return data
