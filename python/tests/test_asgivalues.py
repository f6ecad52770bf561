"""Values in the messages of an ASGI app, which the front has to be able to read."""

import http
import unittest

from indrik import asgivalues
from indrik.protocol import MAX_MESSAGE


class Text(str):
    def __str__(self):
        return "another"


class Bytes(bytes):
    pass


class Size:
    def __index__(self):
        return 7


class Values(unittest.TestCase):
    def refused(self, function, *values):
        for value in values:
            with self.subTest(value), self.assertRaises((TypeError, ValueError)):
                function(value)

    def exact(self, got, want):
        """The front reads exact types: marshal writes others as what it does not know."""
        self.assertEqual((got, type(got)), (want, type(want)))

    def test_status(self):
        self.exact(asgivalues.status(200), 200)
        self.exact(asgivalues.status(http.HTTPStatus.NOT_FOUND), 404)
        self.exact(asgivalues.status(200.0), 200)
        for edge in 100, 999:
            self.exact(asgivalues.status(edge), edge)
        self.refused(asgivalues.status, 99, 1000, -1, 200.5, True, "200", None, b"200")

    def test_body(self):
        for data in b"ab", bytearray(b"ab"), memoryview(b"ab"), Bytes(b"ab"), memoryview(b"a-b-")[::2]:
            self.exact(asgivalues.body(data), b"ab")
        self.refused(asgivalues.body, "ab", None, 5, [97])

    def test_headers(self):
        pairs = [(b"a", b"b"), [bytearray(b"c"), Bytes(b"d")]]
        got = asgivalues.headers(iter(pairs))
        self.assertEqual(got, [(b"a", b"b"), (b"c", b"d")])
        for name, value in got:
            self.assertEqual((type(name), type(value)), (bytes, bytes))
        pairs[0] = (b"changed", b"b")
        self.assertEqual(got[0], (b"a", b"b"))
        self.refused(asgivalues.headers, [("a", b"b")], [(b"a", "b")], [(b"a", None)], [(b"a",)], [b"abc"], None)
        with self.assertRaisesRegex(TypeError, r"^the header \('a', b'b'\) is not made of bytes$"):
            asgivalues.headers([("a", b"b")])

    def test_size(self):
        self.exact(asgivalues.size(0), 0)
        self.exact(asgivalues.size((1 << 62) - 1), (1 << 62) - 1)
        self.exact(asgivalues.size(Size()), 7)
        self.refused(asgivalues.size, -1, 1 << 62, 1.0, "1", None)

    def test_text(self):
        self.exact(asgivalues.text(Text("said")), "said")
        self.exact(asgivalues.text("said"), "said")
        self.refused(asgivalues.text, b"said", None, 5)

    def test_head(self):
        largest = bytes(MAX_MESSAGE)
        self.assertIs(asgivalues.head(largest), largest)
        with self.assertRaisesRegex(ValueError, "^response head of %d bytes is too large$" % (MAX_MESSAGE + 1)):
            asgivalues.head(largest + b"x")
