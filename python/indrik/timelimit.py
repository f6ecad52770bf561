"""What an app can ask about a request while it runs: is its client still
there, and until when may it run. docs/workers.md describes it.

The functions belong to a slot and answer for the request that the slot runs, so that they
cost a request nothing until they are called.
"""

from __future__ import annotations

from marshal import dumps
from time import monotonic

from .protocol import REPLY_EXTEND, SCOREBOARD_CLAIMED, SCOREBOARD_DEADLINE, SCOREBOARD_GONE
from .wire import FORMAT, claim_slice, slot_word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket
    from typing import Any, Callable, Dict, Optional, Tuple, Union

    from .wire import Scoreboard

# The longest extension, in seconds. An app that needs more may ask again.
LONGEST = 3600.0


def functions(timeout: float, scoreboard: Scoreboard, index: int, sock: socket) -> Dict[str, Callable[..., Any]]:
    """Returns the functions for the environ of the requests of a slot."""
    claimed = slot_word(index, SCOREBOARD_CLAIMED)
    gone = slot_word(index, SCOREBOARD_GONE)
    limit = slot_word(index, SCOREBOARD_DEADLINE)
    own = claim_slice(index)
    memory: Any = scoreboard.obj
    extended: Tuple[int, float] = (0, 0.0)  # the id of a request, and until when it may run

    def disconnected() -> bool:
        return scoreboard[gone] == scoreboard[claimed]

    def deadline() -> Optional[float]:
        return _deadline() if timeout else None

    def _deadline() -> float:
        request_id, noted, now = scoreboard[claimed], scoreboard[limit], monotonic()
        if noted >> 32 == request_id:
            # The lower half of the word is milliseconds, of which the upper
            # bits were cut off.
            left = (noted - int(now * 1000) + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            until = now + left / 1000
        else:
            until = now + timeout  # the front has not seen that the request began
        return max(until, extended[1]) if extended[0] == request_id else until

    def extend_deadline(seconds: float) -> Optional[float]:
        nonlocal extended
        seconds = checked(seconds)
        if timeout:
            extended = scoreboard[claimed], max(_deadline(), monotonic() + seconds)
            try:
                claim = memory[own]
                if claim == memory[own]:  # else the slot is at another request
                    sock.send(extension(claim, seconds))
            except OSError:
                pass  # the front is gone, and with it the request
        return deadline()

    return {
        "indrik.disconnected": disconnected,
        "indrik.deadline": deadline,
        "indrik.extend_deadline": extend_deadline,
    }


def checked(seconds: float) -> float:
    """Returns how long an extension is, in seconds."""
    seconds = float(seconds)
    if not seconds > 0:
        raise ValueError("an extension of %r seconds" % seconds)
    return min(seconds, LONGEST)


def extension(ref: Union[bytes, int], seconds: float) -> bytes:
    """Returns the message that tells the front of an extension."""
    return dumps((REPLY_EXTEND, ref, int(seconds * 1000) + 1), FORMAT)
