"""What hooks put on `server`, on its way from one spawner to the next: in Gunicorn it
lives as long as the master, and hooks count on it.

It goes by pickle, through the master, which does not look into it. Both spawners run
the same config file with the same rights, and nobody else can send such a message.
"""

import base64

from . import stdlib

# The size of all values together in a message, in bytes.
MAX_SIZE = 64 << 10


def pack(server):
    """Returns the attributes that can be carried, each as text, and for the others why
    they cannot."""
    names = sorted(set(vars(server)) - server._own)
    packed, lost = {}, {}
    if names:
        pickle, room = stdlib.load("pickle"), MAX_SIZE
    for name in names:
        try:
            text = base64.b64encode(pickle.dumps(getattr(server, name), 4)).decode()
        except Exception as e:
            lost[name] = _reason(e)
            continue
        if len(text) > room:
            lost[name] = "it has %d bytes, and there is room for %d" % (len(text), room)
            continue
        room -= len(text)
        packed[name] = text
    return packed, lost


def unpack(server, packed):
    """Puts what was packed on server. Returns which could not be, and why."""
    lost = {}
    if packed:
        pickle = stdlib.load("pickle")
    for name, text in packed.items():
        try:
            setattr(server, name, pickle.loads(base64.b64decode(text)))
        except Exception as e:
            lost[name] = _reason(e)
    return lost


def _reason(error):
    return (str(error) or type(error).__name__)[:200]
