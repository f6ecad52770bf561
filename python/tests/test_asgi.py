import marshal
import os
import signal
import socket
import time

from . import support
from .support import CHUNK, END, ERROR, FILE, HINTS, ON_TRAY, REFUSED, RESPONSE, START, MasterTest, memory

LEAVE, WANT, TRAILERS, PART, FAIL = range(9, 14)
REQUEST, UPLOAD, BODY, GONE, GRANT, PING, RESET = range(7)
TRAY = 10

APP = r"""
import asyncio, os

tasks = []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["shared"] = [1]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("shutdown", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await globals()[scope["path"][1:] or "hello"](scope, receive, send)

async def start(send, status=200, headers=(), **more):
    await send(dict(more, type="http.response.start", status=status, headers=headers))

async def body(send, data=b"", more=False):
    await send({"type": "http.response.body", "body": data, "more_body": more})

async def hello(scope, receive, send):
    await start(send, headers=[(b"a", b"b")])
    await body(send, b"hello")

async def wait(scope, receive, send):
    await start(send)
    await body(send, b"begun", True)
    while (await receive())["type"] != "http.disconnect":
        pass
    print("left", flush=True)

async def sleep(scope, receive, send):
    print("sleeping", flush=True)
    await asyncio.sleep(1000)

async def read(scope, receive, send):
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(len(message["body"]))
        more = message["more_body"]
    await start(send)
    await body(send, repr(parts).encode())

async def much(scope, receive, send):
    await start(send)
    for i in range(20):
        await body(send, bytes(50000), True)
        print("sent %d" % i, flush=True)
    await body(send)

async def huge(scope, receive, send):
    await start(send)
    await body(send, bytes(int(scope["query_string"])))

async def impatient(scope, receive, send):
    async def answer():
        await start(send)
        await body(send, bytes(100000))
    task = asyncio.ensure_future(answer())
    await asyncio.sleep(0.1)
    print("has waited for it", flush=True)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        await body(send, b"gave up")

async def together(scope, receive, send):
    await start(send)
    await asyncio.gather(*[body(send, data, True) for data in (b"a" * 600000, b"b" * 100000, b"c")], body(send, b"d"))

async def halving(scope, receive, send):
    await start(send)
    try:
        await asyncio.wait_for(body(send, bytes(600000), True), 0.1)
    except asyncio.TimeoutError:
        await body(send, b"tail")

async def abandoning(scope, receive, send):
    async def answer():
        try:
            await body(send, bytes(600000), True)
        except OSError:
            print("nobody waits for it", flush=True)
    await start(send)
    asyncio.ensure_future(answer())
    await asyncio.sleep(0.1)

async def state(scope, receive, send):
    scope["state"]["own"] = 1
    scope["state"]["shared"].append(1)
    await start(send)
    await body(send, repr(scope["state"]).encode())

async def path(scope, receive, send):
    await start(send)
    await send({"type": "http.response.pathsend", "path": "/etc/passwd"})

async def parts(scope, receive, send):
    with open("/etc/passwd", "rb") as f:
        await start(send)
        await send({"type": "http.response.zerocopysend", "file": f, "count": 5, "more_body": True})
        await send({"type": "http.response.zerocopysend", "file": f, "count": 5})

async def trailers(scope, receive, send):
    await start(send, trailers=True)
    await body(send, b"data")
    await send({"type": "http.response.trailers", "headers": [(b"x", b"y")]})

async def changed(scope, receive, send):
    headers = [[b"a", b"b"], (b"c", b"d")]
    await start(send, headers=headers)
    headers[0][1] = "changed"
    headers.pop()
    await body(send, b"x")

async def hints(scope, receive, send):
    await send({"type": "http.response.early_hint", "links": [b"</a>"]})
    await hello(scope, receive, send)

async def left(receive):
    while (await receive())["type"] != "http.disconnect":
        pass

async def ordering(scope, receive, send):
    print("begun /ordering", flush=True)
    await left(receive)
    await asyncio.sleep(0.05)
    try:
        await start(send)
        await body(send, b"ordered")
    except OSError as e:
        print("rolled back: " + type(e).__name__, flush=True)
        raise
    print("committed", flush=True)

async def streaming(scope, receive, send):
    await start(send)
    await body(send, b"first", True)
    print("begun /streaming", flush=True)
    await left(receive)
    for _ in range(100):
        await body(send, bytes(100000), True)
    await body(send)
    print("streamed", flush=True)

async def trailers_late(scope, receive, send):
    await start(send, trailers=True)
    await body(send, b"data", True)
    print("begun /trailers_late", flush=True)
    await left(receive)
    await body(send)
    await send({"type": "http.response.trailers", "headers": [(b"x", b"y")]})
    print("trailers sent", flush=True)

async def file_late(scope, receive, send):
    await start(send)
    await body(send, b"data", True)
    print("begun /file_late", flush=True)
    await left(receive)
    with open("/etc/passwd", "rb") as f:
        await send({"type": "http.response.zerocopysend", "file": f, "count": 5})
    print("file sent", flush=True)

async def spinning(scope, receive, send):
    await start(send)
    await body(send, b"first", True)
    print("begun /spinning", flush=True)
    await left(receive)
    other = asyncio.ensure_future(asyncio.sleep(0))
    while not other.done():
        await body(send, b"x", True)
    print("another task came in", flush=True)
    await body(send)

async def background(scope, receive, send):
    print("begun /background", flush=True)
    await left(receive)
    await start(send)
    await body(send, b"x")
    await asyncio.sleep(0.3)
    print("background is done", flush=True)

async def uvicorns_loggers(scope, receive, send):
    import logging
    logging.getLogger("uvicorn.error").info("said to uvicorn.%s", "error")
    logging.getLogger("uvicorn").warning("said to uvicorn")
    logging.getLogger("uvicorn.error").debug("not said")
    logging.getLogger("uvicorn.access").info("said to the access log")
    try:
        raise KeyError("kept")
    except KeyError:
        logging.getLogger("uvicorn.error").exception("an exception")
    await hello(scope, receive, send)

async def error(scope, receive, send):
    raise ValueError("an error")
"""


class ASGITest(MasterTest):
    FRONT = 3  # its number
    kept = ()  # messages that came with others

    def up(self, source=APP, config=None, serve=True, **settings):
        settings.setdefault("graceful_timeout", 20)
        worker = self.master.up(source, config, **settings)
        if serve:
            worker.scoreboard[1] = self.FRONT + 1
        self.last = 0
        return worker

    def take_all(self, worker, number):
        """Returns the body of a response in parts, which the client takes."""
        got = b""
        while True:
            message = self.reply(worker)
            self.assertEqual((message[0], message[1]), (CHUNK if got else START, number))
            got += message[-1]
            self.event(worker, GRANT, number, len(message[-1]), None)
            if got.endswith(b"d"):
                self.assertEqual(self.reply(worker), (END, number))
                return got

    def setUp(self):
        super().setUp()
        self.addCleanup(self.leave)

    def leave(self):
        """What the workers see when master and front are gone."""
        for worker in self.master.workers:
            for slot in worker.slots:
                try:
                    slot.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # the worker has closed its end

    def number(self):
        self.last += 1
        return self.FRONT << 24 | self.last

    def scope(self, path="/", **more):
        """Returns a scope in the parts that docs/protocol.md describes."""
        scope = dict(
            {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.4"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"q",
                "root_path": "",
                "headers": [(b"host", b"x")],
                "client": ("127.0.0.1", 1),
                "server": ("127.0.0.1", 2),
                "extensions": {},
            },
            **more,
        )
        parts = [scope.pop(key) for key in ("method", "path", "raw_path", "query_string", "client")]
        return (marshal.dumps(scope, 2), *parts)

    def event(self, worker, *message, **kwargs):
        support.send(worker.slots[0], marshal.dumps([message], 2), kwargs.get("fds", ()))

    def ask(self, worker, path="/", body=b"", kind=REQUEST, **more):
        number = self.number()
        self.event(worker, kind, number, self.scope(path, **more), body)
        return number

    def replies(self, worker, count=1):
        """Returns the next messages, as many as that at least."""
        found = []
        while len(found) < count:
            data, fds = support.receive(worker.slots[0])
            if not data:
                raise AssertionError("the slot was closed; log:\n" + self.master.read_log())
            while data:
                message, data = support._value(data)
                found.append(worker.with_body(message))
                if found[-1] is not message:
                    self.event(worker, TRAY, message[1], None, None)
            self.fds = fds
        return found

    def reply(self, worker):
        """Returns the next message."""
        if not self.kept:
            self.kept = self.replies(worker)
        return self.kept.pop(0)

    def read(self, worker, ping=100):
        """Waits until the worker has read all that was sent."""
        self.event(worker, PING, ping, 0, None)
        end = time.monotonic() + support.LIMIT
        while worker.scoreboard[2] != ping:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.001)


class Requests(ASGITest):
    def test_response(self):
        worker = self.up()
        number = self.ask(worker)
        self.assertEqual(self.reply(worker), (RESPONSE, number, 200, [(b"a", b"b")], b"hello"))
        self.assertEqual(worker.claimed(), number)

    def test_headers_are_what_they_were(self):
        worker = self.up()
        number = self.ask(worker, "/changed")
        self.assertEqual(self.reply(worker), (RESPONSE, number, 200, [(b"a", b"b"), (b"c", b"d")], b"x"))

    def test_many_at_once(self):
        # One message may hold several answers, in any order.
        worker = self.up()
        os.kill(worker.pid, signal.SIGSTOP)
        numbers = [self.ask(worker) for _ in range(30)]
        os.kill(worker.pid, signal.SIGCONT)
        messages = self.replies(worker, 30)
        self.assertEqual(sorted(m[1] for m in messages), numbers)

    def test_state(self):
        worker = self.up()
        for i in range(2):
            self.ask(worker, "/state")
            self.assertEqual(eval(self.reply(worker)[-1]), {"own": 1, "shared": [1] * (i + 2)})

    def test_large_scope(self):
        worker = self.up()
        number = self.number()
        fd = memory(0, marshal.dumps((self.scope("/read"), b"body"), 2))
        self.event(worker, REQUEST, number, None, None, fds=[fd])
        self.assertEqual(self.reply(worker)[-1], b"[4]")
        os.close(fd)

    def test_body_in_the_store(self):
        worker = self.up()
        store = support.Store(4)
        for number in self.number(), self.number():
            item = store.put(number, bytes(200000), [3, 1])
            self.event(worker, REQUEST, number, self.scope("/read"), item, fds=[store.fd])
            self.assertEqual(self.reply(worker)[-1], b"[200000]")
        # By now its memory is of another one.
        self.event(worker, REQUEST, self.number(), self.scope("/read"), item, fds=[store.fd])
        self.ask(worker)
        self.assertEqual(self.reply(worker)[-1], b"hello")
        store.close()

    def test_no_room_for_descriptors(self):
        worker = self.up()
        for scope, body in (self.scope("/read"), (200000, 3, 1)), (None, None):
            number = self.number()
            self.event(worker, REQUEST, number, scope, body)
            self.assertEqual(self.reply(worker), (ERROR, number))
            self.master.wait_log("Too many open files")

    def test_stream(self):
        worker = self.up()
        number = self.ask(worker, "/wait")
        self.assertEqual(self.reply(worker), (START, number, 200, [], b"begun"))
        self.event(worker, GONE, number, None, None)
        self.master.wait_log("left")
        self.assertEqual(self.reply(worker), (ERROR, number))

    def test_error(self):
        worker = self.up()
        number = self.ask(worker, "/error")
        self.assertEqual(self.reply(worker), (ERROR, number))
        self.assertIn("ValueError: an error", self.master.wait_log("Error in ASGI application"))

    def test_files(self):
        worker = self.up()
        number = self.ask(worker, "/path")
        self.assertEqual(self.reply(worker), (FILE, number, 200, [], 0, -1))
        self.assertEqual(len(self.fds), 1)
        os.close(self.fds[0])
        number = self.ask(worker, "/parts")
        for want in (START, number, 200, [], b""), (PART, number, 0, 5), (PART, number, 5, 5), (END, number):
            self.assertEqual(self.reply(worker), want)
            for fd in self.fds:
                os.close(fd)

    def test_trailers_and_hints(self):
        worker = self.up()
        number = self.ask(worker, "/trailers")
        messages = [self.reply(worker), self.reply(worker)]
        self.assertEqual(messages, [(START, number, 200, [], b"data"), (TRAILERS, number, ((b"x", b"y"),))])
        number = self.ask(worker, "/hints")
        messages = [self.reply(worker), self.reply(worker)]
        self.assertEqual(messages[0], (HINTS, number, [(b"link", b"</a>")]))
        self.assertEqual(messages[1][0], RESPONSE)

    def test_gone_and_cancelled(self):
        worker = self.up(asgi_disconnect_grace_period=0)
        number = self.ask(worker, "/sleep")
        self.master.wait_log("sleeping")
        self.event(worker, GONE, number, None, None)
        self.assertEqual(self.reply(worker), (ERROR, number))
        self.master.wait_log("GET /sleep is cancelled: its client has gone, and asgi_disconnect_grace_period is 0 s")
        self.assertNotIn("Error in ASGI", self.master.read_log())

    def test_client_cannot_forge_a_line(self):
        worker = self.up(asgi_disconnect_grace_period=0)
        number = self.ask(worker, "/sleep", raw_path=b"/sleep\n[CRITICAL] forged")
        self.master.wait_log("sleeping")
        self.event(worker, GONE, number, None, None)
        self.assertEqual(self.reply(worker), (ERROR, number))
        self.master.wait_log("GET /sleep\\n[CRITICAL] forged is cancelled")

    def test_gone_and_not_cancelled(self):
        """What was begun is done to the end; what it sends is for nobody."""
        for path, log in (
            ("/ordering", "committed"),
            ("/streaming", "streamed"),
            ("/trailers_late", "trailers sent"),
            ("/file_late", "file sent"),
            ("/spinning", "another task came in"),
        ):
            worker = self.up()
            number = self.ask(worker, path)
            if path != "/ordering":
                self.assertEqual(self.reply(worker)[0], START)
            self.master.wait_log("begun " + path)
            self.event(worker, GONE, number, None, None)
            self.assertEqual(self.reply(worker), (ERROR, number))
            self.master.wait_log(log)
            self.assertNotIn("Error in ASGI", self.master.read_log())

    def test_response_to_nobody_ends_its_request(self):
        """A task that goes on after its response holds no place, as with a client."""
        worker = self.up()
        number = self.ask(worker, "/background")
        self.master.wait_log("begun /background")
        self.event(worker, GONE, number, None, None)
        self.assertEqual(self.reply(worker), (ERROR, number))
        self.assertNotIn("background is done", self.master.read_log())
        self.ask(worker)
        self.assertEqual(self.reply(worker)[0], RESPONSE)
        self.master.wait_log("background is done")

    def test_uvicorns_loggers(self):
        worker = self.up()
        self.ask(worker, "/uvicorns_loggers")
        self.assertEqual(self.reply(worker)[0], RESPONSE)
        log = self.master.read_log()
        for line in (
            "[INFO] said to uvicorn.error",
            "[WARNING] said to uvicorn",
            "[ERROR] an exception",
            "KeyError: 'kept'",
        ):
            self.assertEqual(log.count(line + "\n"), 1, log)
        self.assertNotIn("not said", log)
        self.assertNotIn("access log", log)

    def test_gone_and_raising(self):
        worker = self.up(asgi_send_after_disconnect="raise")
        number = self.ask(worker, "/ordering")
        self.master.wait_log("begun /ordering")
        self.event(worker, GONE, number, None, None)
        self.assertEqual(self.reply(worker), (ERROR, number))
        self.master.wait_log("rolled back: ClientGone")
        self.assertNotIn("Error in ASGI", self.master.read_log())


class Bodies(ASGITest):
    def test_upload(self):
        worker = self.up()
        number = self.ask(worker, "/read", b"", UPLOAD)
        self.assertEqual(self.reply(worker), (WANT, number, 256 << 10))
        self.event(worker, BODY, number, bytes(1000), 1)
        for _ in range(8):
            self.event(worker, BODY, number, bytes(30000), 1)
        kind, _, _ = self.reply(worker)
        self.assertEqual(kind, WANT)  # again, when most of it has come
        self.event(worker, BODY, number, b"", 0)
        while True:
            message = self.reply(worker)
            if message[0] == RESPONSE:
                break
        self.assertEqual(sum(eval(message[-1])), 241000)

    def test_first_part(self):
        worker = self.up()
        number = self.ask(worker, "/read", b"start", UPLOAD)
        self.assertEqual(self.reply(worker)[:2], (WANT, number))
        self.event(worker, BODY, number, b"the end", 0)
        self.assertEqual(self.reply(worker)[-1], b"[5, 7]")

    def test_window(self):
        worker = self.up(asgi_send_after_disconnect="raise")
        number = self.ask(worker, "/much")
        got = 0
        for _ in range(6):
            got += len(self.reply(worker)[-1])
        self.assertEqual(got, 300000)  # the one that goes beyond the window is the last
        worker.slots[0].settimeout(0.3)
        with self.assertRaises(socket.timeout):
            self.reply(worker)
        worker.slots[0].settimeout(support.LIMIT)
        self.event(worker, GRANT, number, 300000, None)
        for _ in range(6):
            self.assertEqual(self.reply(worker)[0], CHUNK)
        self.event(worker, GONE, number, None, None)
        self.assertEqual(self.reply(worker), (ERROR, number))
        self.assertEqual(self.master.read_log().count("sent "), 11)
        self.assertNotIn("Error in ASGI", self.master.read_log())

    def test_large_body(self):
        worker = self.up()
        number = self.ask(worker, "/huge", query_string=b"1000000")
        self.assertEqual(self.reply(worker), (RESPONSE, number, 200, [], bytes(1000000)))
        number = self.ask(worker, "/huge", query_string=b"3000000")
        got = 0
        while True:
            message = self.reply(worker)
            if message[0] == END:
                break
            got += len(message[-1])
            self.event(worker, GRANT, number, len(message[-1]), None)
            self.assertLessEqual(len(message[-1]), 256 << 10)
        self.assertEqual(got, 3000000)

    def test_tasks_that_send_together(self):
        worker = self.up()
        number = self.ask(worker, "/together")
        self.assertEqual(self.take_all(worker, number), b"a" * 600000 + b"b" * 100000 + b"cd")

    def test_send_that_is_cancelled(self):
        """What would come after half a part of the body would be taken for the rest."""
        worker = self.up()
        number = self.ask(worker, "/halving")
        self.assertEqual(self.reply(worker)[0], START)
        self.assertEqual(self.reply(worker), (ERROR, number))
        self.read(worker)
        self.assertFalse(self.kept)

    def test_send_without_end(self):
        """The app returns while a task of its own waits for room."""
        worker = self.up(asgi_send_after_disconnect="raise")
        number = self.ask(worker, "/abandoning")
        while self.reply(worker) != (ERROR, number):
            pass
        self.master.wait_log("nobody waits for it")


class OneTray(ASGITest):
    """All responses go by one tray, one after the other."""

    SIZE = {"query_string": b"100000"}

    def on_tray(self, worker):
        """Returns the request whose body is on the tray, and leaves it there."""
        data, _ = support.receive(worker.slots[0])
        message = support.strict(data)
        self.assertEqual((message[0], message[-1]), (RESPONSE, 100000))
        self.assertEqual(worker.scoreboard[worker.word(0, ON_TRAY)], message[1])
        return message[1]

    def test_one_after_the_other(self):
        worker = self.up()
        numbers = [self.ask(worker, "/huge", **self.SIZE) for _ in range(5)]
        self.assertEqual([self.reply(worker)[1] for _ in numbers], numbers)

    def test_who_waits_may_leave(self):
        worker = self.up()
        first, left, cancelled, last = [
            self.ask(worker, path, **self.SIZE) for path in ("/huge", "/huge", "/impatient", "/huge")
        ]
        self.assertEqual(self.on_tray(worker), first)
        self.read(worker)
        self.event(worker, GONE, left, None, None)
        self.assertEqual(self.replies(worker), [(ERROR, left)])
        self.master.wait_log("has waited for it")  # and was cancelled
        self.assertEqual(len(worker.take_tray(100000)), 100000)
        self.event(worker, TRAY, first, None, None)
        messages = self.replies(worker, 2)
        self.assertEqual({(m[0], m[1]) for m in messages}, {(RESPONSE, last), (RESPONSE, cancelled)})

    def test_tasks_that_wait_together(self):
        worker = self.up()
        first, number = [self.ask(worker, path, **self.SIZE) for path in ("/huge", "/together")]
        self.assertEqual(self.on_tray(worker), first)
        self.read(worker)
        worker.take_tray(100000)
        self.event(worker, TRAY, first, None, None)
        self.assertEqual(self.take_all(worker, number), b"a" * 600000 + b"b" * 100000 + b"cd")

    def test_another_front(self):
        worker = self.up()
        first, _ = [self.ask(worker, "/huge", **self.SIZE) for _ in range(2)]
        self.assertEqual(self.on_tray(worker), first)
        self.read(worker)
        # What a front does that comes after another.
        worker.scoreboard[worker.word(0, ON_TRAY)] = 0
        worker.scoreboard[1] = self.FRONT + 2
        self.event(worker, RESET, self.FRONT + 1, None, None)
        self.FRONT += 1
        self.ask(worker, "/huge", **self.SIZE)
        while self.reply(worker)[0] != RESPONSE:
            pass  # the other one failed


class Claims(ASGITest):
    def test_revoked(self):
        worker = self.up()
        self.last += 1
        revoked = self.FRONT << 24 | self.last
        self.master.generations[1].revoke(revoked)
        self.event(worker, REQUEST, revoked, self.scope(), b"")
        self.assertEqual(self.reply(worker), (REFUSED, revoked))
        self.ask(worker)
        self.assertEqual(self.reply(worker)[0], RESPONSE)

    def test_other_fronts(self):
        worker = self.up()
        self.event(worker, REQUEST, 5 << 24 | 1, self.scope("/error"), b"")
        number = self.ask(worker)
        self.assertEqual(self.reply(worker)[:2], (RESPONSE, number))
        worker.scoreboard[1] = 0  # nothing is to be begun
        self.ask(worker, "/error")
        self.read(worker)
        worker.scoreboard[1] = self.FRONT + 1
        waiting = self.ask(worker, "/wait")
        self.assertEqual(self.reply(worker)[:2], (START, waiting))
        self.event(worker, RESET, self.FRONT + 1, None, None)
        self.master.wait_log("left")
        self.assertEqual(self.reply(worker), (ERROR, waiting))

    def test_ping(self):
        worker = self.up()
        self.event(worker, PING, 7, time.monotonic_ns() - 2000000000, None)
        self.ask(worker)
        self.reply(worker)
        self.assertEqual(worker.scoreboard[2], 7)
        self.assertTrue(2000000 <= worker.scoreboard[3] < 20000000, worker.scoreboard[3])
        most = worker.scoreboard[4]
        self.assertEqual(most, worker.scoreboard[3])
        self.event(worker, PING, 8, time.monotonic_ns() + 10**12, None)
        self.ask(worker)
        self.reply(worker)
        self.assertEqual((worker.scoreboard[2], worker.scoreboard[3], worker.scoreboard[4]), (8, 0, most))


class Life(ASGITest):
    def test_term(self):
        worker = self.up()
        running = self.ask(worker, "/wait")
        self.assertEqual(self.reply(worker)[0], START)
        os.kill(worker.pid, signal.SIGTERM)
        while True:  # until it has heard of that
            number = self.ask(worker)
            message = self.reply(worker)
            if message[0] == LEAVE:
                self.assertEqual(message, (LEAVE, number))
                break
            self.assertEqual(message[:2], (RESPONSE, number))
        self.assertNotIn("shutdown", self.master.read_log())
        self.event(worker, GONE, running, None, None)
        self.assertEqual(self.reply(worker), (ERROR, running))
        self.assertEqual(support.receive(worker.slots[0])[0], b"")  # its end is told at once
        self.assertEqual(self.master.exited(worker)["code"], 0)
        self.assertIn("shutdown", self.master.read_log())

    def test_graceful_timeout(self):
        worker = self.up(graceful_timeout=1)
        number = self.ask(worker, "/sleep")
        self.master.wait_log("sleeping")
        os.kill(worker.pid, signal.SIGTERM)
        self.assertEqual(self.reply(worker), (FAIL, number, 504))
        self.assertEqual(self.master.exited(worker)["code"], 0)
        self.assertIn("shutdown", self.master.wait_log("Worker graceful timeout"))

    def test_quit(self):
        worker = self.up()
        self.ask(worker, "/sleep")
        self.master.wait_log("sleeping")
        os.kill(worker.pid, signal.SIGQUIT)
        self.assertEqual(self.master.exited(worker)["code"], 0)
        self.assertIn("shutdown", self.master.read_log())

    def test_abort(self):
        worker = self.up(config="def worker_abort(worker):\n    print('aborted', flush=True)\n")
        os.kill(worker.pid, signal.SIGABRT)
        self.assertEqual(self.master.exited(worker)["code"], 1)
        self.assertIn("aborted", self.master.read_log())

    def test_max_requests(self):
        worker = self.up(max_requests=2)
        for _ in range(2):
            self.ask(worker)
            self.reply(worker)
        self.assertEqual(self.master.expect("recycle")["age"], worker.age)
        self.ask(worker)
        self.assertEqual(self.reply(worker)[0], RESPONSE)

    def test_kind_is_told(self):
        self.up()
        worker = self.master.spawn(ready=False)
        self.assertEqual(self.master.expect("ready").get("kind"), "asgi")
        self.assertTrue(worker.pid)

    def test_hooks(self):
        worker = self.up(
            config="""
def pre_request(worker, req):
    print("pre", worker.nr, req.method, req.path, req.query, req.headers, flush=True)
    req.headers.append(("X-ADDED", "1"))
    if req.path == "/old":
        req.path = "/hello"
def post_request(worker, req, environ, resp):
    print("post", environ["REMOTE_ADDR"], resp.status_code, resp.sent, resp.headers, flush=True)
"""
        )
        self.ask(worker)
        self.reply(worker)
        self.assertIn("pre 1 GET / q [('HOST', 'x')]", self.master.wait_log("post 127.0.0.1 200 5 [('a', 'b')]"))
        self.ask(worker, "/error")
        self.reply(worker)
        self.master.wait_log("post 127.0.0.1 500 0 []")
        self.ask(worker, "/old")
        self.assertEqual(self.reply(worker)[0], RESPONSE)
