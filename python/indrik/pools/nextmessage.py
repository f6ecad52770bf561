"""Waiting for a message of a pool in a task of asyncio."""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

    from .. import callconn
    from . import tlv


async def next_message(connection: callconn.Connection, timeout: Optional[float]) -> Tuple[int, tlv.Data]:
    """Returns the next message. Raises TimeoutError if none comes for so many seconds."""
    try:
        return connection.receive_now()
    except BlockingIOError:
        pass
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    until = None if timeout is None else loop.time() + timeout
    timer = None if until is None else loop.call_at(until, changed.set)
    fd = connection.fileno()
    loop.add_reader(fd, changed.set)
    try:
        while True:
            await changed.wait()
            changed.clear()
            try:
                return connection.receive_now()
            except BlockingIOError:
                if until is not None and loop.time() >= until:
                    raise TimeoutError from None
    finally:
        loop.remove_reader(fd)
        if timer is not None:
            timer.cancel()
