"""Compares indrik.pools.tlv with Gunicorn's own encoding (gunicorn.dirty.tlv), on random values and
on changed encodings of them. Arguments: a seed, and how many values."""

import math
import random
import sys

from gunicorn.dirty.errors import DirtyProtocolError as TheirError
from gunicorn.dirty.tlv import TLVEncoder

from indrik.pools import tlv
from indrik.pools.errors import DirtyProtocolError


def value(rng, depth=4):
    kinds = 9 if depth else 7
    kind = rng.randrange(kinds)
    if kind < 3:
        return rng.choice([None, True, False, 0, 1, -1, 2**63 - 1, -(2**63), rng.getrandbits(63)])
    if kind == 3:
        return rng.choice([0.0, -0.0, math.inf, -math.inf, rng.random()])
    if kind == 4:
        return bytes(rng.getrandbits(8) for _ in range(rng.randrange(300)))
    if kind < 7:
        return text(rng)
    if kind == 7:
        made = [value(rng, depth - 1) for _ in range(rng.randrange(8))]
        return made if rng.randrange(3) else tuple(made)
    return {key(rng): value(rng, depth - 1) for _ in range(rng.randrange(8))}


def text(rng):
    return "".join(chr(rng.choice([0, 65, 0xE9, 0xFFFD, 0x1F600])) for _ in range(rng.randrange(9)))


def key(rng):
    return rng.choice([text(rng), rng.getrandbits(8) + 1000, None, 1.5])


def changed(rng, data):
    data = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data))
        if rng.randrange(4):
            data[at] = rng.choice([0, 1, 5, 6, 0x10, 0x11, 0x20, 0x21, rng.getrandbits(8)])
        else:
            del data[at + 1 :]
    return bytes(data)


def decoded(decode, error, data):
    try:
        return repr(decode(data))
    except error:
        return None


def main(seed, count):
    rng = random.Random(seed)
    accepted = strict = 0
    for _ in range(count):
        made = value(rng)
        data = TLVEncoder.encode(made)
        assert tlv.encode(made) == data, made
        assert repr(tlv.decode(data)) == repr(TLVEncoder.decode_full(data)), made
        data = changed(rng, data)
        ours = decoded(tlv.decode, DirtyProtocolError, data)
        theirs = decoded(TLVEncoder.decode_full, TheirError, data)
        # What ours takes is what theirs takes; ours leaves out what no encoder makes.
        assert ours is None or ours == theirs, (data, ours, theirs)
        if theirs is not None and ours is None:
            strict += 1
            # Another bool than 0 and 1, or a key twice: encoded again it is another one.
            assert TLVEncoder.encode(TLVEncoder.decode_full(data)) != data, data
        accepted += ours is not None
    print("%d values, %d changed and taken, %d refused that Gunicorn takes" % (count, accepted, strict))
    assert accepted > count / 20, "the changes are too wild to say much"


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
