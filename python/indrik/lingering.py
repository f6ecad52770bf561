"""Threads and child processes that run beside the main thread of a process."""

from __future__ import annotations

import os
import sys
import threading

# Taken at import time: where gevent has patched it, it names greenlets.
from threading import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Set, Tuple

# The threads of this process, on Linux.
_TASKS = "/proc/self/task"


def running() -> Set[Tuple[str, Any]]:
    """Returns threads of Python and child processes, as pairs of that word and the number."""
    # The ident of a thread that has ended is given to another one.
    named = {t.ident: t.native_id for t in threading.enumerate()}
    found: Set[Tuple[str, Any]] = {("thread", named.get(ident, ident)) for ident in sys._current_frames()}
    me = get_ident()
    found.discard(("thread", named.get(me, me)))
    for thread in os.listdir(_TASKS) if os.path.isdir(_TASKS) else ():
        try:
            with open("%s/%s/children" % (_TASKS, thread)) as f:
                found.update(("process", int(pid)) for pid in f.read().split())
        except OSError:
            pass
    return found
