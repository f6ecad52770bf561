"""Modules of the standard library that are imported late, since few need them and
they cost milliseconds: never a file of the app's that has the name of one."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_own: Any = __spec__.loader  # see bootstrap.py


def load(name: str) -> Any:
    if not hasattr(_own, "__enter__"):
        return importlib.import_module(name)  # from files, as in the tests
    with _own:
        return importlib.import_module(name)
