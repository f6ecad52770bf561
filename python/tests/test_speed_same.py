"""The compiled code of indrik-speed does in a slot what the code in Python does: both get the
same messages, and what apps see and the front hears is compared."""

import gc
import marshal
import random
import sys
import unittest
from typing import Any, List

from indrik import protocol, wsgi
from indrik.wire import FORMAT

from .support.master import SPEED
from .support.speed import Worker, maybe, strict_all, text, together

if SPEED:
    import indrik_speed

ROUNDS = 100


class Text(str):
    """No exact str."""


# What apps of WSGI do, by the number in the first byte of the body.


def answers(start, number):
    ok = "200 OK"
    plain = [("Content-Type", "text/plain"), ("X", "1")]

    def sized(size):
        return [("content-LENGTH", size), *plain]

    def lazily(parts, headers=plain):
        start(ok, headers)
        yield from parts

    class Closing(List[Any]):
        def close(self):
            start.log.append("closed")

    class Iterable:
        def __iter__(self):
            return iter([b"", b"12345"])

        def close(self):
            start.log.append("closed")
            if number % 2:
                raise ValueError("in close")

    def run():
        yield lambda: start(ok, plain) and [b"one"]
        yield lambda: start(ok, plain) and (b"tuple",)
        yield lambda: start(ok, plain) and []
        yield lambda: start(ok, plain) and [b"two", b"parts"]
        yield lambda: start(ok, plain) and Closing([b"closing"])
        yield lambda: start(ok, sized("5")) and Iterable()
        yield lambda: start(ok, sized("5")) and Iterable()
        yield lambda: start(ok, sized("6")) and Iterable()
        yield lambda: start(ok, sized("+5")) and Iterable()
        yield lambda: start(ok, [("Content-Length", "")]) and Iterable()
        yield lambda: start(ok, [("Content\rLength", "5"), ("Content-Lengtx", "5")]) and Iterable()
        yield lambda: lazily([b"a", b"", b"b"])
        yield lambda: lazily([b"abc", b"more"], sized("3"))
        yield lambda: lazily([b"abc", "text"], sized("3"))
        yield lambda: lazily([])
        yield lambda: lazily([bytearray(b"x")])
        yield lambda: start(Text(ok), plain) and [b"subclass"]
        yield lambda: start("200 \u00e9", plain) and [b"latin"]
        yield lambda: start("200 \u20ac", plain) and [b"no latin"]
        yield lambda: start(ok, [("X", "\u00e9")]) and [b"latin header"]
        yield lambda: start(ok, [("X", 1)]) and [b"bad header"]
        yield lambda: start(ok, [["X", "list"]]) and [b"list"]
        yield lambda: start(ok, (("X", "tuple"),)) and [b"tuples"]
        yield lambda: start(ok, None) and [b"none"]
        yield lambda: start(status=ok, headers=plain) and [b"keywords"]
        yield lambda: start(ok, plain, None) and [b"third"]
        yield lambda: start(ok) and [b"too few"]
        yield lambda: start(ok, plain) and start(ok, plain) and [b"twice"]
        yield lambda: (start(ok, plain)(b"written"), [b"and returned"])[1]
        yield lambda: [b"no start"]
        yield lambda: [] if number % 2 else None
        yield lambda: start(ok, plain) and 5
        yield lambda: start(ok, plain) and "text"
        yield lambda: start(ok, plain) and [b"x" * (4095 + number % 2)]
        yield lambda: start(ok, plain) and [b"x" * 70000]
        yield lambda: start(ok, [("X", "y" * 70000), ("Z", "y" * 70000)]) and [b""]
        yield lambda: start(ok, [("X", "y" * 40000)]) and [b"x" * 60000]
        yield lambda: 1 / 0
        yield lambda: start.hints([("Link", "</a>")]) or (start(ok, plain) and [b"hinted"])

    kinds = list(run())
    return kinds[number % len(kinds)]()


def changed(start):
    """Sends the exception of an app in the place of its response."""
    try:
        raise KeyError("of the app")
    except KeyError:
        start("500 X", [], sys.exc_info())


@unittest.skipUnless(SPEED, "indrik-speed is not there")
class WSGI(unittest.TestCase):
    def run_in(self, messages, speed):
        seen: List[Any] = []
        late: List[Any] = []

        class Start:
            """What an app is given, and a place for what it does."""

            def __init__(self, environ, start):
                self.start, self.hints, self.log = start, environ["wsgi.early_hints"], []

            def __call__(self, *args, **kwargs):
                try:
                    self.write = self.start(*args, **kwargs)
                except Exception as e:
                    self.log.append(repr(e))
                    raise
                return self.write

        def app(environ, start_response):
            body = environ["wsgi.input"].read()
            start = Start(environ, start_response)
            seen.append({k: v for k, v in environ.items() if isinstance(v, (str, bool, tuple))})
            seen.append([list(environ), body, start.log])
            number = body[0] if body else 0
            if number == 255:
                start_response("200 OK", [])
                changed(start_response)
                return [b"changed"]
            if number == 254:
                late.append(start)
            elif late:
                try:
                    late.pop().start("200 OK", [])
                except BaseException as e:
                    seen.append(repr(e))
            return answers(start, number)

        worker: Any = Worker(app, messages, speed)
        wsgi.serve(worker, 0)
        board = worker.scoreboard.tobytes()
        journal = worker.scoreboard[wsgi.wire.slot_word(0, protocol.SCOREBOARD_JOURNALED)]
        thread = 8 * wsgi.wire.slot_word(0, protocol.SCOREBOARD_THREAD)
        words = board[:thread] + board[thread + 8 : 4096]
        # Which of them go together depends on time.
        return seen, b"".join(worker.sent), worker.log.lines, words, journal, worker.nr, worker.reached

    def message(self, choose, first):
        requests = []
        for number in range(first, first + choose.choice([1, 1, 2, 3, 8])):
            rest = {"HTTP_X": choose.choice("abc"), "wsgi.url_scheme": "http", "big": "b" * choose.choice([1, 5000])}
            body = bytes([choose.randrange(256)]) + b"body" if choose.random() < 0.95 else b""
            requests.append(
                b"(\x0b\0\0\0"
                + marshal.dumps(number, FORMAT)
                + marshal.dumps(choose.randbytes(8) + number.to_bytes(8, sys.byteorder), FORMAT)
                + marshal.dumps(marshal.dumps(rest, FORMAT), FORMAT)
                + text(choose)
                + text(choose)
                + maybe(choose, text(choose))
                + text(choose)
                + text(choose)
                + maybe(choose, text(choose))
                + maybe(choose, text(choose))
                + marshal.dumps(body, FORMAT)
            )
        return together(requests)

    def test_same(self):
        choose = random.Random(1)
        for i in range(ROUNDS):
            messages = [self.message(choose, 1 + 100 * j) for j in range(4)]
            wanted = self.run_in(messages, None)
            got = self.run_in(messages, indrik_speed)
            for a, b in zip(got, wanted):
                self.assertEqual(a, b, "round %d" % i)
            strict_all(got[1])

    def kind(self, number, count):
        """Returns a message of requests for which the app does what is behind that number."""
        choose = random.Random(number)
        return together(
            [
                b"(\x0b\0\0\0"
                + marshal.dumps(n + 1, FORMAT)
                + marshal.dumps(bytes(8) + (n + 1).to_bytes(8, sys.byteorder), FORMAT)
                + marshal.dumps(marshal.dumps({}, FORMAT), FORMAT)
                + text(choose) * 2
                + b"N"
                + text(choose) * 2
                + b"NN"
                + marshal.dumps(bytes([number]), FORMAT)
                for n in range(count)
            ]
        )

    def test_every_kind(self):
        for number in range(256):
            for count in (1, 2):
                message = self.kind(number, count)
                self.assertEqual(self.run_in([message], indrik_speed), self.run_in([message], None), number)

    def test_no_leaks(self):
        messages = [self.kind(number, 2) for number in range(256)]

        def blocks():
            for _ in range(3):
                self.run_in(messages, indrik_speed)
            gc.collect()
            return sys.getallocatedblocks()

        # One object for each request of one kind would be some 40, each time. The interpreter
        # itself keeps some at times.
        counts = [blocks() for _ in range(5)]
        grown = [after - before for before, after in zip(counts, counts[1:])]
        self.assertLess(min(grown), 20, grown)
