"""What an app of WSGI is given for its response, without a process: each message is looked at."""

import io
import os
import tempfile
import unittest
from unittest import mock

from indrik import wsgiresponse
from indrik.protocol import (
    MAX_MESSAGE,
    REPLY_CHUNK,
    REPLY_END,
    REPLY_ERROR,
    REPLY_FILE,
    REPLY_HINTS,
    REPLY_RESPONSE,
    REPLY_START,
    RESPONSE_BUFFER_SIZE,
)
from indrik.wire import MAX_COPIED, ClientGone
from indrik.wsgiresponse import FileWrapper, WSGIResponse

from .support import strict

OK = "200 OK"


class Text(str):
    pass


class ResponseTest(unittest.TestCase):
    def setUp(self):
        self.messages = []
        self.buffer = mock.Mock()
        self.buffer.put.return_value = True
        sock = mock.Mock()
        sock.sendmsg.side_effect = lambda parts, ancillary=(): self.messages.append(strict(bytes(parts[0])))
        self.response = WSGIResponse()
        self.response.sock, self.response.response_buffer = sock, self.buffer
        self.response.scoreboard, self.response.gone = [0], 0
        self.response.id = self.response.ref = 7

    def kinds(self):
        return [m[0] for m in self.messages]


class Heads(ResponseTest):
    def test_copies(self):
        headers = [("X", "y")]
        self.response.start_response(OK, headers)
        headers[0] = ("Z", "z")
        self.assertEqual(self.response.headers, [("X", "y")])

    def test_other_types(self):
        self.response.start_response(Text(OK), ([name, value] for name, value in {"X": Text("\xe9")}.items()))
        self.assertEqual((type(self.response.status), self.response.headers), (str, [("X", "\xe9")]))
        self.assertEqual({type(part) for pair in self.response.headers for part in pair}, {str})

    def test_refused(self):
        for status, headers, error in [
            (200, [], TypeError),
            (b"200 OK", [], TypeError),
            ("200 \u20ac", [], UnicodeEncodeError),
            (OK, [("X", 1)], TypeError),
            (OK, [("X", None)], TypeError),
            (OK, [(b"X", "y")], TypeError),
            (OK, [("X", "\u20ac")], UnicodeEncodeError),
            (OK, [("X",)], ValueError),
            (OK, 5, TypeError),
        ]:
            with self.subTest(status=status, headers=headers), self.assertRaises(error):
                self.response.start_response(status, headers)
            self.assertIsNone(self.response.status)

    def test_twice(self):
        self.response.start_response(OK, [])
        with self.assertRaisesRegex(AssertionError, "^Response headers already set!$"):
            self.response.start_response(OK, [])

    def test_again_with_an_error(self):
        error = ValueError("the app's")
        info = (ValueError, error, None)
        self.response.start_response(OK, [("X", "y")])
        self.response.start_response("500 Oops", [], info)
        self.assertEqual((self.response.status, self.response.headers), ("500 Oops", []))
        self.response.put(b"x")
        with self.assertRaises(ValueError) as caught:
            self.response.start_response("500 Oops", [], info)
        self.assertIs(caught.exception, error)

    def test_never(self):
        with self.assertRaisesRegex(AssertionError, r"^start_response\(\) was not called$"):
            self.response.put(b"x")
        self.assertEqual(self.messages, [])

    def test_too_large(self):
        self.response.start_response(OK, [("X", "y" * MAX_MESSAGE)])
        with self.assertRaisesRegex(ValueError, r"^response head of \d+ bytes is too large$"):
            self.response.put(b"x")

    def test_content_length(self):
        for headers, length in [
            ([("Content-Length", "12")], 12),
            ([("CONTENT-LENGTH", " 7 ")], 7),
            ([("X", "1"), ("content-length", "0")], 0),
            ([("Content-Length", "many")], None),
            ([("Content-Longth", "12")], None),
            ([], None),
        ]:
            self.response.status = None
            self.response.start_response(OK, headers)
            self.assertEqual(self.response.content_length(), length)


class Hints(ResponseTest):
    def test_pairs(self):
        self.response.early_hints(iter([("Link", "</a>"), (b"Link", b"</\xe9>")]))
        self.assertEqual(self.messages, [(REPLY_HINTS, 7, [("Link", "</a>"), ("Link", "</\xe9>")])])

    def test_refused(self):
        for pairs, error in ([("Link", 5)], TypeError), ([("Link", "\u20ac")], UnicodeEncodeError):
            self.assertRaises(error, self.response.early_hints, pairs)
        self.assertEqual(self.messages, [])

    def test_behind_the_head(self):
        self.response.start_response(OK, [])(b"x")
        self.response.early_hints([("Link", "</a>")])
        self.assertEqual(self.kinds(), [REPLY_START])


class Bodies(ResponseTest):
    def setUp(self):
        super().setUp()
        self.write = self.response.start_response(OK, [("X", "y")])

    def test_parts(self):
        self.write(b"a")
        self.write(b"b")
        self.response.finish()
        self.assertEqual(
            self.messages, [(REPLY_START, 7, OK, [("X", "y")], b"a"), (REPLY_CHUNK, 7, b"b"), (REPLY_END, 7)]
        )
        self.assertEqual(self.response.sent, 2)

    def test_what_is_no_body(self):
        for data in "text", None, 5, bytearray(b"x"):
            with self.assertRaisesRegex(TypeError, "is not a byte$"):
                self.write(data)
        self.assertEqual(self.messages, [])

    def test_behind_the_end(self):
        self.response.done = True
        with self.assertRaisesRegex(AssertionError, r"^write\(\) after the end of the response$"):
            self.write(b"x")

    def test_whole(self):
        self.response.whole(b"body")
        self.assertEqual(self.messages, [(REPLY_RESPONSE, 7, OK, [("X", "y")], b"body")])
        self.assertTrue(self.response.done)

    def test_by_the_buffer(self):
        data = bytes(MAX_COPIED + 1)
        self.response.whole(data)
        self.buffer.put.assert_called_once_with(7, data)
        self.assertEqual(self.messages, [(REPLY_RESPONSE, 7, OK, [("X", "y")], len(data))])

    def test_buffer_that_is_in_use(self):
        self.buffer.put.return_value = False
        data = bytes(MAX_COPIED + 1)
        self.response.whole(data)
        self.assertEqual((self.kinds()[0], self.kinds()[-1]), (REPLY_START, REPLY_END))
        self.assertEqual(b"".join(m[-1] for m in self.messages[:-1]), data)

    def test_larger_than_the_buffer(self):
        self.write(bytes(RESPONSE_BUFFER_SIZE + 5))
        sizes = [m[-1] for m in self.messages[1:]]
        self.assertEqual(sizes, [RESPONSE_BUFFER_SIZE, b"\0" * 5])
        self.assertEqual(self.messages[0], (REPLY_START, 7, OK, [("X", "y")], b""))

    def test_message_of_the_buffer_that_is_not_sent(self):
        self.response.sock.sendmsg.side_effect = BrokenPipeError
        with self.assertRaises(BrokenPipeError):
            self.write(bytes(MAX_COPIED + 1))
        self.buffer.clear.assert_called_once_with()
        self.assertTrue(self.response.lost)

    def test_client_that_has_gone(self):
        self.response.scoreboard[0] = 7
        with self.assertRaises(ClientGone):
            self.write(b"x")
        self.assertEqual(self.messages, [])
        self.response.scoreboard[0] = 6  # that of another request
        self.write(b"x")

    def test_interrupted_in_the_middle(self):
        """What was begun is cut off: a part of it must not be taken for the whole."""

        class Interrupt(BaseException):
            pass

        self.buffer.put.side_effect = [True, Interrupt]
        with self.assertRaises(Interrupt):
            self.write(bytes(2 * RESPONSE_BUFFER_SIZE))
        self.assertEqual((self.kinds()[-1], self.response.done), (REPLY_ERROR, True))

    def test_iterators(self):
        self.response.iterate(iter([b"", b"a", b"", b"b"]))
        self.assertEqual(self.kinds(), [REPLY_START, REPLY_CHUNK, REPLY_END])
        self.assertRaises(TypeError, self.response.iterate, ["text"])

    def test_body_in_one_piece(self):
        self.response.headers = [("Content-Length", "4")]
        self.response.iterate(iter([b"body", b"over"]))
        self.assertEqual(self.messages, [(REPLY_RESPONSE, 7, OK, [("Content-Length", "4")], b"body")])


class Files(ResponseTest):
    def setUp(self):
        super().setUp()
        self.response.start_response(OK, [])
        self.file = tempfile.TemporaryFile()
        self.addCleanup(self.file.close)
        self.file.write(b"0123456789")
        self.file.seek(3)

    def test_descriptor(self):
        self.assertTrue(self.response.file(FileWrapper(self.file), "GET"))
        self.assertEqual(self.messages, [(REPLY_FILE, 7, OK, [], 3, -1)])
        self.assertTrue(self.response.done)

    def test_head(self):
        self.assertTrue(self.response.file(FileWrapper(self.file), "HEAD"))
        self.assertEqual(self.kinds(), [REPLY_START, REPLY_END])

    def test_what_is_no_file(self):
        read, write = os.pipe()
        detached = io.BufferedReader(io.BytesIO(b"x"))
        detached.detach()
        closed = tempfile.TemporaryFile()
        closed.close()
        with open(read, "rb") as pipe, open(write, "wb"):
            for filelike in io.BytesIO(b"x"), pipe, detached, closed, object(), self:
                with self.subTest(filelike):
                    self.assertFalse(self.response.file(mock.Mock(filelike=filelike), "GET"))
        self.assertEqual(self.messages, [])

    def test_kinds(self):
        with tempfile.NamedTemporaryFile() as named:
            self.assertTrue(wsgiresponse._is_plain(named))
            for mode, buffering in ("rb", -1), ("rb", 0), ("r+b", -1):
                with open(named.name, mode, buffering) as f:
                    self.assertTrue(wsgiresponse._is_plain(f))
            with open(named.name) as text:
                self.assertFalse(wsgiresponse._is_plain(text))
            with open(named.name, "ab") as appended:
                self.assertFalse(wsgiresponse._is_plain(appended))

    def test_wrapper(self):
        closed = []
        source = mock.Mock(read=io.BytesIO(b"abcde").read, close=lambda: closed.append(True))
        wrapper = FileWrapper(source, 2)
        self.assertEqual(list(wrapper), [b"ab", b"cd", b"e"])
        wrapper.close()
        self.assertEqual(closed, [True])
        wrapper = FileWrapper(mock.Mock(spec=["read"], read=io.BytesIO(b"abc").read), 2)
        self.assertEqual((wrapper[0], wrapper[1]), (b"ab", b"c"))
        self.assertRaises(IndexError, lambda: wrapper[2])
        self.assertFalse(hasattr(wrapper, "close"))
