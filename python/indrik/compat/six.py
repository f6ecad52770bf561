"""gunicorn.six, which is gone since Gunicorn 20: what old programs use of it."""

from __future__ import annotations

import io

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Mapping, Tuple

PY3 = True
string_types = (str,)
text_type = str
binary_type = bytes
StringIO, BytesIO = io.StringIO, io.BytesIO


def iteritems(mapping: Mapping[Any, Any]) -> Iterator[Tuple[Any, Any]]:
    return iter(mapping.items())


def iterkeys(mapping: Mapping[Any, Any]) -> Iterator[Any]:
    return iter(mapping.keys())


def itervalues(mapping: Mapping[Any, Any]) -> Iterator[Any]:
    return iter(mapping.values())
