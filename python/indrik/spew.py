"""The setting spew: prints every line of Python that is executed."""

from __future__ import annotations

import linecache
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Callable, Optional


def install() -> None:
    """Traces this thread and those to come."""
    threading.settrace(_trace)
    sys.settrace(_trace)


def _trace(frame: FrameType, event: str, arg: Any) -> Optional[Callable[..., Any]]:
    name = frame.f_globals.get("__name__", "[unknown]")
    filename = frame.f_code.co_filename
    if filename.startswith("<indrik>") or name == "linecache":
        return None
    if event == "line":
        line = linecache.getline(filename, frame.f_lineno, frame.f_globals).rstrip()
        print("%s:%s: %s" % (name, frame.f_lineno, line), flush=True)
    return _trace
