"""The attributes that hooks put on `server`, on their way from one spawner to the next: in
Gunicorn these live as long as the master, and hooks count on that.

It goes by pickle, through the master, which does not look into it. Both spawners run
the same config file with the same rights, and nobody else can send such a message.
"""

from __future__ import annotations

import binascii

from . import stdlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple

    from .view import Server

# The size of all values together in a message, in bytes.
MAX_SIZE = 64 << 10


def pack(server: Server) -> Tuple[Dict[str, str], Dict[str, str]]:
    """Returns the attributes that can be carried, each as text, and for the others why
    they cannot."""
    names = sorted(set(vars(server)) - server._own)
    packed: Dict[str, str] = {}
    lost: Dict[str, str] = {}
    if names:
        pickle, room = stdlib.load("pickle"), MAX_SIZE
    for name in names:
        try:
            text = binascii.b2a_base64(pickle.dumps(getattr(server, name), 4), newline=False).decode()
        except Exception as e:
            lost[name] = _reason(e)
            continue
        if len(text) > room:
            lost[name] = "it has %d bytes, and there is room for %d" % (len(text), room)
            continue
        room -= len(text)
        packed[name] = text
    return packed, lost


def unpack(server: Server, packed: Dict[str, str]) -> Dict[str, str]:
    """Sets the packed attributes on server. Returns those that could not be set, and why."""
    lost: Dict[str, str] = {}
    if packed:
        pickle = stdlib.load("pickle")
    for name, text in packed.items():
        try:
            setattr(server, name, pickle.loads(binascii.a2b_base64(text)))
        except Exception as e:
            lost[name] = _reason(e)
    return lost


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]
