"""The call that runs here, in a worker of a pool."""

from __future__ import annotations

import contextvars

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Call(Protocol):
        """The call that a thread runs, to the front."""

        def emit(self, kind: int, payload: bytes) -> None:
            """Sends a part of the answer, and waits while the caller does not read. Raises
            callconn.Cancelled if nobody wants it any longer."""

        def cancelled(self) -> bool:
            """Reports whether that is so. Never waits; any thread may ask."""

        def fileno(self) -> int:
            """Returns what can be read when that is so."""


current: contextvars.ContextVar[Call] = contextvars.ContextVar("indrik.pools.call")


def cancelled() -> bool:
    """Reports whether nobody waits any longer for the call that runs this: the caller has left,
    or the deadline has passed. False where no call runs."""
    call = current.get(None)
    return call is not None and call.cancelled()
