"""The event loop of an ASGI worker: uvloop's if that is installed, or asyncio's."""

from __future__ import annotations

import asyncio
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .glogging import Logger
    from .worker import Worker


def new_loop(worker: Worker) -> asyncio.AbstractEventLoop:
    """Makes the loop of this process."""
    loop = _new_loop(worker.cfg.get("asgi_loop") or "auto", worker.log)
    asyncio.set_event_loop(loop)
    return loop


def _new_loop(name: str, log: Logger) -> asyncio.AbstractEventLoop:
    if name != "asyncio":
        try:
            import uvloop

            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
        except ImportError:
            if name == "uvloop":
                log.warning("uvloop not available, falling back to asyncio")
    return asyncio.new_event_loop()


def listen_for_signals(loop: asyncio.AbstractEventLoop) -> None:
    """Has signals wake the loop: one may come after the interpreter has looked for signals
    and before the loop begins to wait."""
    read, write = os.pipe()
    for fd in (read, write):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def woken() -> None:
        try:
            os.read(read, 4096)
        except BlockingIOError:
            pass

    loop.add_reader(read, woken)
