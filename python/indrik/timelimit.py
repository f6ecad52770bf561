"""What an app can ask about a request while it runs: is its client still
there, and until when may it run. docs/workers.md describes it.

The functions belong to a slot, and speak of the request that it runs: so they
cost a request nothing until they are called.
"""

from marshal import dumps
from time import monotonic

from . import wire
from .exchange import EXTEND, FORMAT

# The longest extension, in seconds. Who needs more may ask again.
LONGEST = 3600.0


def functions(timeout, cells, index, sock):
    """Returns their part of the environ, for a slot."""
    cell = wire.BOARD_FIRST + wire.BOARD_STRIDE * index
    claimed = cell + wire.BOARD_CLAIMED
    own = wire.claim_of(index)
    extended = [0, 0.0]  # a request, and until when

    def disconnected():
        return cells[cell + wire.BOARD_GONE] == cells[claimed]

    def deadline():
        if not timeout:
            return None
        number, noted, now = cells[claimed], cells[cell + wire.BOARD_DEADLINE], monotonic()
        if noted >> 32 == number:
            # The lower half of the word is milliseconds, of which the upper
            # bits were cut off.
            left = (noted - int(now * 1000) + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            until = now + left / 1000
        else:
            until = now + timeout  # the front has not seen that it began
        return max(until, extended[1]) if extended[0] == number else until

    def extend_deadline(seconds):
        seconds = checked(seconds)
        if timeout:
            number = cells[claimed]
            extended[:] = number, max(deadline(), monotonic() + seconds)
            try:
                claim = cells.obj[own]
                if claim == cells.obj[own]:  # else the slot is at another request
                    sock.send(extension(claim, seconds))
            except OSError:
                pass  # the front is gone, and with it the request
        return deadline()

    return {
        "indrik.disconnected": disconnected,
        "indrik.deadline": deadline,
        "indrik.extend_deadline": extend_deadline,
    }


def checked(seconds):
    """Returns how long an extension is, in seconds."""
    seconds = float(seconds)
    if not seconds > 0:
        raise ValueError("an extension of %r seconds" % seconds)
    return min(seconds, LONGEST)


def extension(id, seconds):
    """Returns the message to the front."""
    return dumps((EXTEND, id, int(seconds * 1000) + 1), FORMAT)
