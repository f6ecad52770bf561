"""The encoding of calls: what it keeps, what it refuses, and that decode takes what encode makes
and nothing else."""

import math
import random
import struct
import unittest
from unittest import mock

from indrik.pools import tlv
from indrik.pools.errors import DirtyProtocolError

# The texts of gunicorn/dirty/tlv.py: what each type is on the wire.
VECTORS = [
    (None, "00"),
    (False, "0100"),
    (True, "0101"),
    (-2, "05fffffffffffffffe"),
    (1.5, "063ff8000000000000"),
    (b"ab", "10000000026162"),
    ("é", "1100000002c3a9"),
    ([1, []], "2000000002050000000000000001" + "2000000000"),
    ({"a": None}, "2100000001" + "110000000161" + "00"),
]


def values(rng, depth=4):
    """Returns a random value that has an encoding."""
    kind = rng.randrange(9 if depth else 7)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        return rng.choice([0, 1, -1, 2**63 - 1, -(2**63), rng.getrandbits(63)])
    if kind == 3:
        return rng.choice([0.0, -0.0, math.inf, -math.inf, rng.random(), rng.random() * 1e300])
    if kind == 4:
        return bytes(rng.getrandbits(8) for _ in range(rng.randrange(20)))
    if kind in (5, 6):
        return text(rng)
    if kind == 7:
        return [values(rng, depth - 1) for _ in range(rng.randrange(6))]
    return {text(rng): values(rng, depth - 1) for _ in range(rng.randrange(6))}


def text(rng):
    return "".join(rng.choice("ab\0é€😀\ufffd") for _ in range(rng.randrange(8)))


def same(a, b):
    """Reports whether both are the same down to types and signs of zero."""
    return repr(a) == repr(b)


class Values(unittest.TestCase):
    def test_vectors(self):
        for value, data in VECTORS:
            with self.subTest(value=value):
                self.assertEqual(tlv.encode(value).hex(), data)
                self.assertTrue(same(tlv.decode(bytes.fromhex(data)), value))

    def test_every_value_comes_back(self):
        rng = random.Random(18)
        for _ in range(3000):
            value = values(rng)
            data = tlv.encode(value)
            self.assertTrue(same(tlv.decode(data), value), value)
            self.assertTrue(same(tlv.decode(memoryview(data)), value), value)

    def test_what_becomes_something_else(self):
        for value, want in [
            ((1, (2,)), [1, [2]]),
            ({1: "a", None: 2}, {"1": "a", "None": 2}),
            (bytearray(b"x"), b"x"),
            (memoryview(b"abcd")[::2], b"ac"),
            (memoryview(struct.pack("2d", 0, 1)).cast("d"), struct.pack("2d", 0, 1)),
        ]:
            with self.subTest(value=value):
                self.assertTrue(same(tlv.decode(tlv.encode(value)), want))

    def test_subclasses_are_what_they_derive_from(self):
        class Text(str):
            pass

        class Number(int):
            pass

        self.assertTrue(same(tlv.decode(tlv.encode({Text("a"): Number(3)})), {"a": 3}))

    def test_nan(self):
        self.assertTrue(math.isnan(tlv.decode(tlv.encode(math.nan))))


class Refused(unittest.TestCase):
    def refuses(self, value, *words):
        with self.assertRaises(DirtyProtocolError) as raised:
            tlv.encode(value)
        for word in words:
            self.assertIn(word, str(raised.exception))

    def test_what_has_no_encoding(self):
        self.refuses({1, 2}, "Unsupported type for TLV encoding: set")
        self.refuses({"a": [0, object()]}, "object", "(at ['a'][1])")
        self.refuses(2**63, "64 bits")
        self.refuses("\ud800", "UTF-8")
        self.refuses({"\ud800": 1}, "UTF-8")
        self.refuses({1: "a", "1": "b"}, "two keys", "'1'")

    def test_size_and_depth(self):
        self.refuses([None] * (tlv.MAX_ITEMS + 1), "List too large")
        self.refuses(dict.fromkeys(range(tlv.MAX_ITEMS + 1)), "Dict too large")
        with mock.patch.object(tlv, "MAX_BYTES", 100):
            self.refuses(bytes(101), "Bytes too large")
            self.refuses(memoryview(bytes(104)).cast("d"), "Bytes too large")
            self.refuses(51 * "é", "String too large")
        deep = []
        for _ in range(tlv.MAX_DEPTH - 1):
            deep = [deep]
        self.assertEqual(tlv.decode(tlv.encode(deep)), deep)
        self.refuses([deep], "deep")
        circle = []
        circle.append(circle)
        self.refuses(circle, "deep")


class Hostile(unittest.TestCase):
    def refuses(self, data, word=""):
        with self.assertRaises(DirtyProtocolError) as raised:
            tlv.decode(data)
        self.assertIn(word, str(raised.exception))

    def test_every_truncation(self):
        for value, data in VECTORS:
            data = bytes.fromhex(data)
            for size in range(len(data)):
                with self.subTest(value=value, size=size):
                    self.refuses(data[:size], "Truncated")

    def test_what_encode_does_not_make(self):
        for data, word in [
            ("0102", "Invalid bool"),
            ("02", "Unknown TLV type code: 0x02"),
            ("0000", "Trailing data"),
            ("1100000001ff", "Invalid UTF-8"),
            ("1100000003eda080", "Invalid UTF-8"),
            ("21000000010000" + 4 * "00", "Dict key must be string"),
            ("2100000002" + 2 * "11000000016100", "twice"),
        ]:
            with self.subTest(data):
                self.refuses(bytes.fromhex(data), word)

    def test_what_is_said_to_be_large(self):
        for kind, word in [(0x10, "Too large"), (0x11, "Too large"), (0x20, "Too many"), (0x21, "Too many")]:
            self.refuses(struct.pack(">BI", kind, 2**32 - 1), word)
            self.refuses(struct.pack(">BI", kind, 2**20), "Truncated")

    def test_depth(self):
        self.refuses(b"\x20\x00\x00\x00\x01" * (tlv.MAX_DEPTH + 1) + b"\x00", "deep")

    def test_decode_takes_what_encode_makes_and_nothing_else(self):
        rng = random.Random(27)
        accepted = 0
        for _ in range(20000):
            data = bytearray(tlv.encode(values(rng)))
            for _ in range(rng.randrange(3)):
                at = rng.randrange(len(data))
                change = rng.randrange(4)
                if change == 0:
                    data[at] = rng.choice([0, 1, 5, 6, 0x10, 0x11, 0x20, 0x21, rng.getrandbits(8)])
                elif change == 1:
                    del data[at:]
                elif change == 2:
                    data[at:at] = data[rng.randrange(len(data)) :]
                else:
                    data[at] ^= 1 << rng.randrange(8)
                if not data:
                    break
            try:
                value = tlv.decode(bytes(data))
            except DirtyProtocolError:
                continue
            accepted += 1
            if "nan" not in repr(value):  # whose bits the processor may change
                self.assertEqual(tlv.encode(value), data)
        self.assertGreater(accepted, 1000)


if __name__ == "__main__":
    unittest.main()
