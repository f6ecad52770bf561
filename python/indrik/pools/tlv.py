"""The encoding of arguments and results: Gunicorn's, a type, then a length where the type has
one, then the value (gunicorn/dirty/tlv.py). All numbers are big-endian.

    0x00 None   0x05 int, 8 bytes      0x10 bytes  0x20 list  each: 4 bytes, how many bytes
    0x01 bool   0x06 float, IEEE 754   0x11 str    0x21 dict  or items follow

A tuple becomes a list, and bytearray and memoryview become bytes. Keys of a dict are texts; others
become texts by str(), as they do in JSON. What comes may be of a hostile process: decode takes
exactly what encode can have made and nothing else, and no more memory than some twenty times
what came.
"""

from __future__ import annotations

import struct

from ..protocol import MAX_POOL_PAYLOAD
from .errors import DirtyProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Tuple, Union

    Data = Union[bytes, bytearray, "memoryview[int]"]

_NONE = 0x00
_BOOL = 0x01
_INT = 0x05
_FLOAT = 0x06
_BYTES = 0x10
_TEXT = 0x11
_LIST = 0x20
_DICT = 0x21

# The largest text or bytes, in bytes: what a call can carry. Gunicorn's limit is 64 MiB.
MAX_BYTES = MAX_POOL_PAYLOAD

# The most items of a list or dict: Gunicorn's limit.
MAX_ITEMS = 1 << 20

# How deep lists and dicts may be in each other. Gunicorn has no limit but that of the
# interpreter, which is 1000 calls for all that runs.
MAX_DEPTH = 200

_pack_int = struct.Struct(">Bq").pack
_pack_float = struct.Struct(">Bd").pack
_pack_head = struct.Struct(">BI").pack
_int_at = struct.Struct(">q").unpack_from
_float_at = struct.Struct(">d").unpack_from
_length_at = struct.Struct(">I").unpack_from


def encode(value: object) -> bytes:
    """Returns the encoding of a value. Raises DirtyProtocolError, which says where in the value
    something is that has none."""
    parts: List[bytes] = []
    try:
        _encode(value, parts.append, 0)
    except _Unfit as e:
        raise DirtyProtocolError("%s%s" % (e, e.where())) from None
    return b"".join(parts)


class _Unfit(Exception):
    """What cannot be encoded. path is how to get there, in reverse."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path: List[str] = []

    def where(self) -> str:
        if not self.path:
            return ""
        path = "".join(reversed(self.path))
        return " (at %s)" % (path if len(path) <= 100 else path[:100] + "…")


def _encode(value: Any, put: Callable[[bytes], object], depth: int) -> None:
    if value is None:
        put(b"\x00")
    elif isinstance(value, str):
        _encode_text(value, put)
    elif isinstance(value, bool):  # before int, of which it is one
        put(b"\x01\x01" if value else b"\x01\x00")
    elif isinstance(value, int):
        try:
            put(_pack_int(_INT, value))
        except struct.error:
            raise _Unfit("An int must have at most 64 bits") from None
    elif isinstance(value, float):
        put(_pack_float(_FLOAT, value))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        size = value.nbytes if isinstance(value, memoryview) else len(value)
        if size > MAX_BYTES:
            raise _Unfit("Bytes too large: %d bytes (max: %d)" % (size, MAX_BYTES))
        put(_pack_head(_BYTES, size))
        put(bytes(value))
    elif isinstance(value, (list, tuple)):
        _encode_list(value, put, depth + 1)
    elif isinstance(value, dict):
        _encode_dict(value, put, depth + 1)
    else:
        raise _Unfit("Unsupported type for TLV encoding: %s" % type(value).__name__)


def _encode_text(value: str, put: Callable[[bytes], object]) -> None:
    try:
        text = value.encode()
    except UnicodeEncodeError as e:
        raise _Unfit("A str with %s has no UTF-8" % ascii(value[e.start])) from None
    if len(text) > MAX_BYTES:
        raise _Unfit("String too large: %d bytes (max: %d)" % (len(text), MAX_BYTES))
    put(_pack_head(_TEXT, len(text)))
    put(text)


def _enter(what: str, size: int, depth: int) -> None:
    if size > MAX_ITEMS:
        raise _Unfit("%s too large: %d items (max: %d)" % (what, size, MAX_ITEMS))
    if depth > MAX_DEPTH:
        raise _Unfit("Lists and dicts are more than %d deep in each other" % MAX_DEPTH)


def _encode_list(value: Any, put: Callable[[bytes], object], depth: int) -> None:
    items = tuple(value)  # another thread may change a list
    _enter("List", len(items), depth)
    put(_pack_head(_LIST, len(items)))
    at = 0
    try:
        for item in items:
            _encode(item, put, depth)
            at += 1
    except _Unfit as e:
        e.path.append("[%d]" % at)
        raise


def _encode_dict(value: Dict[Any, Any], put: Callable[[bytes], object], depth: int) -> None:
    items = {}
    for key, item in list(value.items()):
        text = key if isinstance(key, str) else str(key)
        if text in items:
            raise _Unfit("A dict has two keys that are %r as a str" % text)
        items[text] = item
    _enter("Dict", len(items), depth)
    put(_pack_head(_DICT, len(items)))
    key = ""
    try:
        for key, item in items.items():
            _encode_text(key, put)
            _encode(item, put, depth)
    except _Unfit as e:
        e.path.append("[%r]" % key)
        raise


def decode(data: Data) -> Any:
    """Returns the value whose encoding data is, all of it. Raises DirtyProtocolError."""
    try:
        value, end = _decode(data, 0, 0)
    except (IndexError, struct.error):
        raise DirtyProtocolError("Truncated TLV data: %d bytes" % len(data)) from None
    if end != len(data):
        raise DirtyProtocolError("Trailing data after TLV: %d bytes" % (len(data) - end))
    return value


def _decode(data: Data, at: int, depth: int) -> Tuple[Any, int]:
    """Returns the value at a place, and where it ends. An index or a number beyond the end
    raises IndexError or struct.error."""
    kind = data[at]
    at += 1
    if kind == _TEXT:
        at, end = _bounds(data, at)
        try:
            return str(data[at:end], "utf-8"), end
        except UnicodeDecodeError as e:
            raise DirtyProtocolError("Invalid UTF-8 in string: %s" % e) from None
    if kind == _INT:
        return _int_at(data, at)[0], at + 8
    if kind == _FLOAT:
        return _float_at(data, at)[0], at + 8
    if kind == _NONE:
        return None, at
    if kind == _BOOL:
        if data[at] > 1:
            raise DirtyProtocolError("Invalid bool: 0x%02x" % data[at])
        return data[at] == 1, at + 1
    if kind == _BYTES:
        at, end = _bounds(data, at)
        return bytes(data[at:end]), end
    if kind in (_LIST, _DICT):
        (count,) = _length_at(data, at)
        at += 4
        if count > MAX_ITEMS:
            raise DirtyProtocolError("Too many items: %d (max: %d)" % (count, MAX_ITEMS))
        _end(data, at, count if kind == _LIST else 6 * count)  # the least that so many items have
        if depth == MAX_DEPTH:
            raise DirtyProtocolError("Lists and dicts are more than %d deep in each other" % MAX_DEPTH)
        return (_decode_list if kind == _LIST else _decode_dict)(data, at, count, depth + 1)
    raise DirtyProtocolError("Unknown TLV type code: 0x%02x" % kind)


def _bounds(data: Data, at: int) -> Tuple[int, int]:
    """Returns where a text or bytes begin and end."""
    (size,) = _length_at(data, at)
    if size > MAX_BYTES:
        raise DirtyProtocolError("Too large: %d bytes (max: %d)" % (size, MAX_BYTES))
    return at + 4, _end(data, at + 4, size)


def _end(data: Data, at: int, size: int) -> int:
    """Returns where so many bytes end."""
    if size > len(data) - at:
        raise DirtyProtocolError("Truncated TLV data: expected %d bytes, got %d" % (size, len(data) - at))
    return at + size


def _decode_list(data: Data, at: int, count: int, depth: int) -> Tuple[List[Any], int]:
    items = []
    for _ in range(count):
        item, at = _decode(data, at, depth)
        items.append(item)
    return items, at


def _decode_dict(data: Data, at: int, count: int, depth: int) -> Tuple[Dict[str, Any], int]:
    items: Dict[str, Any] = {}
    for _ in range(count):
        if data[at] != _TEXT:
            raise DirtyProtocolError("Dict key must be string, got type code 0x%02x" % data[at])
        key, at = _decode(data, at, depth)
        items[key], at = _decode(data, at, depth)
    if len(items) != count:
        raise DirtyProtocolError("A dict has a key twice")
    return items, at
