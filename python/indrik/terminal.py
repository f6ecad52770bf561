"""A single worker in a terminal: breakpoint() and input() work there."""

from __future__ import annotations

import os
import signal
import sys

from . import hooks, stdlib
from .protocol import SCOREBOARD_CLAIMED
from .timelimit import LONGEST, functions
from .wire import slot_word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from .worker import Worker


def take(worker: Worker, group: int) -> None:
    """Lets this process read from the terminal: it joins the process group that is in
    the foreground."""
    try:
        tty = os.open("/dev/tty", os.O_RDWR)
        os.setpgid(0, group)
    except OSError as e:
        worker.log.debug("The terminal cannot be read: %s", e)
        return
    os.dup2(tty, 0)
    os.close(tty)
    sys.stdin = open(0, closefd=False)
    # Ctrl-C comes here too now, but is the master's to answer.
    signal.signal(signal.SIGINT, hooks.nothing)
    if not os.environ.get("PYTHONBREAKPOINT"):
        sys.breakpointhook = _debugger(worker)


def _debugger(worker: Worker) -> Callable[..., None]:
    """Returns a breakpoint hook that stops where it was called, as Python's own does."""

    def breakpointhook(*, header: Optional[str] = None) -> None:
        _extend(worker)
        # Without a handler of SIGINT of its own: Ctrl-C ends the server.
        debugger = stdlib.load("pdb").Pdb(nosigint=True)
        if header is not None:
            debugger.message(header)
        debugger.set_trace(sys._getframe(1))

    return breakpointhook


def _extend(worker: Worker) -> None:
    """Gives running requests more time: the setting timeout would end the worker while
    somebody looks at them."""
    if worker.asgi is not None:
        return
    for index, slot in enumerate(worker.slots):
        if worker.scoreboard[slot_word(index, SCOREBOARD_CLAIMED)]:
            functions(worker.timeout, worker.scoreboard, index, slot)["indrik.extend_deadline"](LONGEST)
