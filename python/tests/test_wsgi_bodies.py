"""Response bodies of WSGI, whole, in parts and by the response buffer."""

from indrik.protocol import REPLY_CHUNK, REPLY_END, REPLY_HINTS, REPLY_RESPONSE, REPLY_START, RESPONSE_ARENA_SIZE
from indrik.wire import MIN_PLACED

from .support import receive, strict
from .support.wsgi import OK, TEXT, WSGITest, data


def cut(body, size):
    return [body[at : at + size] for at in range(0, len(body), size)]


class Bodies(WSGITest):
    APP = "wsgi_bodies:app"

    def test_whole(self):
        self.assertEqual(self.all("/one"), [(REPLY_RESPONSE, OK, TEXT, b"one")])
        self.assertEqual(self.all("/several"), [(REPLY_RESPONSE, OK, TEXT, b"onetwo")])
        self.assertEqual(self.all("/none"), [(REPLY_RESPONSE, OK, TEXT, b"")])
        self.assertEqual(self.all("/exc_info"), [(REPLY_RESPONSE, "500 Oops", [], b"oops")])
        self.assertEqual(self.all("/latin1"), [(REPLY_RESPONSE, "200 \xe4", [("X", "\xe9")], b"")])
        self.assertEqual(self.all("/subclasses"), [(REPLY_RESPONSE, OK, [("X", "y")], b"z")])
        self.assertEqual(self.all("/valid"), [(REPLY_START, OK, TEXT, b"valid"), (REPLY_END,)])

    def test_large(self):
        for size in (64 << 10, (64 << 10) + 1, 1 << 20):
            self.assertEqual(self.all("/edge?%d" % size), [(REPLY_RESPONSE, OK, TEXT, data(size))])
        # Whether the response buffer is free depends on how fast it is read.
        for path, want in (
            ("/edge?3000000", data(3000000)),
            ("/stream?100000,10,200000", data(100000) + data(10) + data(200000)),
        ):
            messages = self.all(path)
            self.assertEqual({m[0] for m in messages}, {REPLY_START, REPLY_CHUNK, REPLY_END})
            self.assertTrue(b"".join(m[-1] for m in messages[:-1]) == want)

    def test_response_buffer(self):
        for size, where in (
            (MIN_PLACED - 1, bytes),
            (MIN_PLACED, tuple),
            (64 << 10, tuple),
            ((64 << 10) + 1, int),
            (1 << 20, int),
        ):
            self.master.request("/edge?%d" % size)
            message = strict(receive(self.worker.slots[0])[0])
            self.assertEqual(type(message[-1]), where)
            self.assertEqual(self.worker.with_body(message)[-1], data(size))

    def test_response_arena_that_is_full(self):
        count = RESPONSE_ARENA_SIZE // 60000
        messages = []
        for _ in range(count + 1):
            self.master.request("/edge?60000")
            messages.append(strict(receive(self.worker.slots[0])[0]))
        self.assertEqual([m[-1] for m in messages], [(60000 * i, 60000) for i in range(count)] + [data(60000)])
        for message in messages:
            self.assertEqual(self.worker.with_body(message)[-1], data(60000))
        self.master.request("/edge?60000")
        self.assertEqual(strict(receive(self.worker.slots[0])[0])[-1], (0, 60000))

    def test_response_arena_of_parts(self):
        self.assertEqual(
            self.all("/stream?5000,3,6000"),
            [(REPLY_START, OK, TEXT, data(5000)), (REPLY_CHUNK, data(3)), (REPLY_CHUNK, data(6000)), (REPLY_END,)],
        )

    def test_response_buffer_in_use(self):
        self.master.request("/edge?300000")
        self.assertEqual(strict(receive(self.worker.slots[0])[0])[-1], 300000)
        # The front has not read that yet, nor what is in the arena then.
        self.master.request("/edge?900000")
        first = strict(receive(self.worker.slots[0])[0])
        self.assertEqual(first[-1], (0, 900000))
        id = self.master.request("/edge?301000")
        messages = []
        while not messages or messages[-1][0] != REPLY_END:
            messages.append(strict(receive(self.worker.slots[0])[0]))
        # What is left of the arena has room for the first part.
        self.assertEqual(messages[0], (REPLY_START, id, OK, TEXT, b""))
        self.assertEqual(messages[1], (REPLY_CHUNK, id, (900000, 120 << 10)))
        body = data(301000)[120 << 10 :]
        for message in messages[2:-1]:
            part = message[-1]
            if type(part) is tuple:
                part = self.worker.take_place(id, part)
            self.assertEqual(part, body[: len(part)])
            body = body[len(part) :]
        self.assertEqual(body, b"")
        self.assertEqual(self.worker.with_body(first)[-1], data(900000))
        self.assertEqual(self.worker.take_buffer(300000), data(300000))
        self.assertEqual(len(self.all("/edge?300000")), 1)

    def test_iterators(self):
        self.assertEqual(self.all("/generator"), [(REPLY_START, OK, TEXT, b"a"), (REPLY_CHUNK, b"b"), (REPLY_END,)])
        self.assertEqual(self.all("/late"), [(REPLY_START, OK, TEXT, b"late"), (REPLY_END,)])
        self.assertEqual(self.all("/empty_iterator"), [(REPLY_RESPONSE, OK, TEXT, b"")])
        self.master.wait_log("closed")

    def test_one_item_with_length_is_whole(self):
        self.assertEqual(self.all("/framework"), [(REPLY_RESPONSE, OK, [("CONTENT-length", "5")], b"12345")])
        self.master.wait_log("closed")
        self.assertEqual([m[0] for m in self.all("/short")], [REPLY_START, REPLY_CHUNK, REPLY_END])

    def test_write(self):
        self.assertEqual(
            self.all("/write"), [(REPLY_START, OK, TEXT, b"a"), (REPLY_CHUNK, b"b"), (REPLY_CHUNK, b"c"), (REPLY_END,)]
        )
        self.assertEqual(self.all("/write_only"), [(REPLY_START, OK, TEXT, b""), (REPLY_END,)])

    def test_heads(self):
        messages = self.all("/large_head")
        self.assertEqual([m[0] for m in messages], [REPLY_RESPONSE])  # the body is elsewhere

    def test_headers_are_what_they_were(self):
        self.assertEqual(self.all("/changed"), [(REPLY_RESPONSE, OK, [("X", "y")], b"z")])
        self.assertEqual(self.all("/changed_while_streamed")[0], (REPLY_START, OK, [("X", "y")], b"a"))

    def test_hints(self):
        messages = self.all("/hints")
        self.assertEqual(messages[0], (REPLY_HINTS, [("Link", "</a>"), ("Link", "</b>")]))
        self.assertEqual([m[0] for m in messages], [REPLY_HINTS, REPLY_START, REPLY_END])
