import hashlib
import marshal
import os
import platform
import signal
import time

from indrik import bodyarena

from .support import (
    CHUNK,
    DEADLINE,
    END,
    ERROR,
    EXTEND,
    FILE,
    GONE,
    HINTS,
    REFUSED,
    RESPONSE,
    START,
    STORE_BLOCK,
    MasterTest,
    Store,
    memory,
    receive,
    strict,
    strict_all,
)

APP = r"""
import gzip, hashlib, io, sys, tempfile, wsgiref.validate

OK, TEXT = "200 OK", [("Content-Type", "text/plain")]

class Closing:
    def __init__(self, items, log):
        self.items, self.log = iter(items), log
    def __iter__(self):
        return self
    def __next__(self):
        item = next(self.items)
        if isinstance(item, Exception):
            raise item
        return item
    def close(self):
        self.log.write("closed\n")

class Str(str): pass
class Bytes(bytes): pass

def one(environ, start):
    start(OK, TEXT); return [b"one"]
def several(environ, start):
    start(OK, TEXT); return (b"one", b"", b"two")
def none(environ, start):
    start(OK, TEXT); return []
def data(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]
def edge(environ, start):
    start(OK, TEXT); return [data(int(environ["QUERY_STRING"]))]
def stream(environ, start):
    start(OK, TEXT)
    for size in environ["QUERY_STRING"].split(","):
        yield data(int(size))
def generator(environ, start):
    start(OK, TEXT)
    yield b""
    yield b"a"
    yield b""
    yield b"b"
def late(environ, start):
    # PEP 3333: start_response may come with the first item.
    def items():
        start(OK, TEXT)
        yield b"late"
    return items()
def framework(environ, start):
    start(OK, [("CONTENT-length", "5")]); return Closing([b"12345", b"over"], environ["wsgi.errors"])
def short(environ, start):
    start(OK, [("Content-Length", "9")]); return Closing([b"12345", b"6789"], environ["wsgi.errors"])
def empty_iterator(environ, start):
    start(OK, TEXT); return Closing([], environ["wsgi.errors"])
def write(environ, start):
    w = start(OK, TEXT); w(b"a"); w(b""); w(b"b"); return [b"c"]
def write_only(environ, start):
    w = start(OK, TEXT); w(b""); return []
def early_error(environ, start):
    start(OK, TEXT); raise ValueError("early")
def late_error(environ, start):
    start(OK, TEXT); return Closing([b"a", ValueError("late")], environ["wsgi.errors"])
def close_error(environ, start):
    start(OK, [("Content-Length", "1")])
    class Body(Closing):
        def close(self): raise ValueError("in close")
    return Body([b"a"], None)
def exc_info(environ, start):
    start(OK, TEXT)
    try: 1 / 0
    except ZeroDivisionError: start("500 Oops", [], sys.exc_info())
    return [b"oops"]
def exc_info_late(environ, start):
    w = start(OK, TEXT); w(b"a")
    try: 1 / 0
    except ZeroDivisionError: start("500 Oops", [], sys.exc_info())
def twice(environ, start):
    start(OK, TEXT); start(OK, TEXT)
def never(environ, start):
    return [b"x"]
def not_bytes(environ, start):
    start(OK, TEXT); return ["text"]
def not_bytes_later(environ, start):
    start(OK, TEXT); return iter([b"a", "text"])
def bad_status(environ, start):
    start(200, TEXT)
def bad_header(environ, start):
    start(OK, [("X", 1)])
def wide_header(environ, start):
    start(OK, [("X", "\u20ac")])
def none_result(environ, start):
    start(OK, TEXT)
def latin1(environ, start):
    start("200 \xe4", [("X", "\xe9")]); return [b""]
def changed(environ, start):
    headers = [("X", "y")]
    start(OK, headers); headers[:] = [("X", 5)]; headers.append(("Z", "z")); return [b"z"]
def changed_while_streamed(environ, start):
    headers = [("X", "y")]
    start(OK, headers); headers.clear(); yield b"a"; headers.append(5); yield b"b"
def subclasses(environ, start):
    start(Str(OK), (list(p) for p in [(Str("X"), Str("y"))])); return [Bytes(b"z")]
def huge_head(environ, start):
    start(OK, [("X", "y" * 140000)]); return [b"z"]
def large_head(environ, start):
    start(OK, [("X", "y" * 100000)]); return [bytes(90000)]
def hints(environ, start):
    environ["wsgi.early_hints"]([("Link", "</a>"), (b"Link", b"</b>")])
    start(OK, TEXT)(b"x")
    environ["wsgi.early_hints"]([("Link", "</late>")])
    return []
def errors(environ, start):
    e = environ["wsgi.errors"]; e.write("to errors \u20ac\n"); e.writelines(["a", "b\n"]); e.flush()
    start(OK, TEXT); return []

def body(environ, start):
    i = environ["wsgi.input"]
    parts = [i.read(2), i.readline(), i.readline(3), next(iter(i)), i.readlines(), i.read(), i.read(5)]
    start(OK, TEXT); return [repr(parts).encode()]
def digest(environ, start):
    start(OK, TEXT); return [hashlib.sha256(environ["wsgi.input"].read()).hexdigest().encode()]
def size(environ, start):
    start(OK, TEXT); return [str(len(environ["wsgi.input"].read())).encode()]
def echo_environ(environ, start):
    start(OK, TEXT)
    return [repr({k: v for k, v in environ.items() if isinstance(v, (str, bool, tuple))}).encode()]

def file(environ, start):
    f = open(environ["QUERY_STRING"], "rb"); f.read(3)
    start(OK, TEXT); return environ["wsgi.file_wrapper"](f, 4)
def file_in_memory(environ, start):
    start(OK, TEXT); return environ["wsgi.file_wrapper"](io.BytesIO(b"in memory"), 4)
def file_gzip(environ, start):
    start(OK, TEXT); return environ["wsgi.file_wrapper"](gzip.open(environ["QUERY_STRING"]))
def file_of_its_own(environ, start):
    start(OK, TEXT); return environ["wsgi.file_wrapper"](FILES[environ["HTTP_KIND"]](environ["QUERY_STRING"]))
class Pretends:
    # It reads something else than what its descriptor has.
    def __init__(self, path): self.file = open(path, "rb"); self.left = [b"read"]
    def read(self, size=-1): return self.left.pop() if self.left else b""
    def fileno(self): return self.file.fileno()
    def tell(self): return self.file.tell()
    def close(self): self.file.close()
class Derived(io.BufferedReader):
    def read(self, size=-1): return super().read(size).upper()
class Raw(io.RawIOBase):
    # Below a buffer.
    def __init__(self, path): self.file = open(path, "rb"); self.left = b"raw"
    def readable(self): return True
    def readinto(self, b): n = len(self.left); b[:n] = self.left; self.left = b""; return n
    def fileno(self): return self.file.fileno()
def written(path):
    f = tempfile.NamedTemporaryFile(); f.write(b"not flushed"); f.seek(0); f.write(b"NOT"); return f
FILES = {
    "pretends": Pretends, "derived": lambda p: Derived(io.FileIO(p)), "raw": lambda p: io.BufferedReader(Raw(p)),
    "plain": lambda p: open(p, "rb"),
    "unbuffered": lambda p: open(p, "rb", 0), "both": lambda p: open(p, "r+b"), "written": written,
}
def file_wrapped(environ, start):
    start(OK, TEXT); return (part for part in environ["wsgi.file_wrapper"](open(environ["QUERY_STRING"], "rb")))

@wsgiref.validate.validator
def valid(environ, start):
    environ["wsgi.input"].read(1)
    environ["wsgi.errors"].write("")
    start(OK, TEXT)
    return [b"valid"]

def app(environ, start):
    return globals()[environ["PATH_INFO"][1:]](environ, start)
"""

TEXT = [("Content-Type", "text/plain")]
OK = "200 OK"


def data(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def cut(body, size):
    return [body[at : at + size] for at in range(0, len(body), size)]


class WSGITest(MasterTest):
    def setUp(self):
        super().setUp()
        self.worker = self.master.up(APP)

    def all(self, path, **kwargs):
        """Returns the messages of a response, less the id."""
        number = self.master.request(path, **kwargs)
        messages = []
        while True:
            m = self.master.response(self.worker)
            self.assertEqual(m[1], number)
            messages.append(m[:1] + m[2:])
            if m[0] in (RESPONSE, END, FILE, ERROR):
                return messages

    def fails(self, path, error, head="Error handling request GET "):
        self.assertEqual(self.all(path), [(ERROR,)])
        log = self.master.wait_log(error)
        self.assertIn("[ERROR] " + head, log)
        self.assertEqual(self.all("/one")[0][3], b"one")


class Bodies(WSGITest):
    def test_whole(self):
        self.assertEqual(self.all("/one"), [(RESPONSE, OK, TEXT, b"one")])
        self.assertEqual(self.all("/several"), [(RESPONSE, OK, TEXT, b"onetwo")])
        self.assertEqual(self.all("/none"), [(RESPONSE, OK, TEXT, b"")])
        self.assertEqual(self.all("/exc_info"), [(RESPONSE, "500 Oops", [], b"oops")])
        self.assertEqual(self.all("/latin1"), [(RESPONSE, "200 \xe4", [("X", "\xe9")], b"")])
        self.assertEqual(self.all("/subclasses"), [(RESPONSE, OK, [("X", "y")], b"z")])
        self.assertEqual(self.all("/valid"), [(START, OK, TEXT, b"valid"), (END,)])

    def test_large(self):
        for size in (64 << 10, (64 << 10) + 1, 1 << 20):
            self.assertEqual(self.all("/edge?%d" % size), [(RESPONSE, OK, TEXT, data(size))])
        # Whether the tray is free depends on how fast it is read.
        for path, want in (
            ("/edge?3000000", data(3000000)),
            ("/stream?100000,10,200000", data(100000) + data(10) + data(200000)),
        ):
            messages = self.all(path)
            self.assertEqual({m[0] for m in messages}, {START, CHUNK, END})
            self.assertTrue(b"".join(m[-1] for m in messages[:-1]) == want)

    def test_tray(self):
        for size, tray in ((64 << 10, False), ((64 << 10) + 1, True), (1 << 20, True)):
            self.master.request("/edge?%d" % size)
            body = strict(receive(self.worker.slots[0])[0])[-1]
            self.assertEqual(type(body), int if tray else bytes)
            if tray:
                self.assertEqual(self.worker.take_tray(body), data(size))

    def test_tray_in_use(self):
        self.master.request("/edge?300000")
        self.assertEqual(strict(receive(self.worker.slots[0])[0])[-1], 300000)
        # The front has not read that yet.
        self.assertEqual(
            self.all("/edge?301000"),
            [(START, OK, TEXT, b"")] + [(CHUNK, part) for part in cut(data(301000), 120 << 10)] + [(END,)],
        )
        self.assertEqual(self.worker.take_tray(300000), data(300000))
        self.assertEqual(len(self.all("/edge?300000")), 1)

    def test_iterators(self):
        self.assertEqual(self.all("/generator"), [(START, OK, TEXT, b"a"), (CHUNK, b"b"), (END,)])
        self.assertEqual(self.all("/late"), [(START, OK, TEXT, b"late"), (END,)])
        self.assertEqual(self.all("/empty_iterator"), [(RESPONSE, OK, TEXT, b"")])
        self.master.wait_log("closed")

    def test_one_item_with_length_is_whole(self):
        self.assertEqual(self.all("/framework"), [(RESPONSE, OK, [("CONTENT-length", "5")], b"12345")])
        self.master.wait_log("closed")
        self.assertEqual([m[0] for m in self.all("/short")], [START, CHUNK, END])

    def test_write(self):
        self.assertEqual(self.all("/write"), [(START, OK, TEXT, b"a"), (CHUNK, b"b"), (CHUNK, b"c"), (END,)])
        self.assertEqual(self.all("/write_only"), [(START, OK, TEXT, b""), (END,)])

    def test_heads(self):
        messages = self.all("/large_head")
        self.assertEqual([m[0] for m in messages], [RESPONSE])  # the body is elsewhere
        self.fails("/huge_head", "response head")

    def test_headers_are_what_they_were(self):
        self.assertEqual(self.all("/changed"), [(RESPONSE, OK, [("X", "y")], b"z")])
        self.assertEqual(self.all("/changed_while_streamed")[0], (START, OK, [("X", "y")], b"a"))

    def test_hints(self):
        messages = self.all("/hints")
        self.assertEqual(messages[0], (HINTS, [("Link", "</a>"), ("Link", "</b>")]))
        self.assertEqual([m[0] for m in messages], [HINTS, START, END])


class Failures(WSGITest):
    def test_before_the_head(self):
        for path, error in [
            ("/early_error", "ValueError: early"),
            ("/twice", "AssertionError: Response headers already set!"),
            ("/never", "AssertionError: start_response() was not called"),
            ("/not_bytes", "TypeError: 'text' is not a byte"),
            ("/bad_status", "TypeError: 200 is not a string"),
            ("/bad_header", "TypeError: 1 is not a string"),
            ("/wide_header", "UnicodeEncodeError"),
            ("/none_result", "TypeError: 'NoneType' object is not iterable"),
            ("/nix", "KeyError: 'nix'"),
        ]:
            with self.subTest(path):
                self.fails(path, error)

    def test_behind_the_head(self):
        for path, error in [
            ("/late_error", "ValueError: late"),
            ("/exc_info_late", "ZeroDivisionError"),
            ("/not_bytes_later", "TypeError: 'text' is not a byte"),
        ]:
            with self.subTest(path):
                messages = self.all(path)
                self.assertEqual(messages, [(START, OK, TEXT, b"a"), (ERROR,)])
                self.assertIn("[ERROR] Error handling request\n", self.master.wait_log(error))
        self.master.wait_log("closed")

    def test_behind_the_end(self):
        self.assertEqual(self.all("/close_error"), [(RESPONSE, OK, [("Content-Length", "1")], b"a")])
        self.assertEqual(self.all("/one")[0][3], b"one")
        self.assertIn("ValueError: in close", self.master.wait_log("Error handling request\n"))


class Environ(WSGITest):
    def test_constants(self):
        got = eval(self.all("/echo_environ")[0][3])
        wanted = self.master.environ("/echo_environ")
        wanted.update(
            {
                "wsgi.version": (1, 0),
                "wsgi.multithread": False,
                "wsgi.multiprocess": False,
                "wsgi.run_once": False,
                "wsgi.input_terminated": True,
                "SERVER_SOFTWARE": "indrik/1.2.3",
            }
        )
        self.assertEqual(got, wanted)

    def test_threads_and_processes(self):
        self.master.terminate(self.worker)
        self.master.prepare("app:app", workers=2)
        worker = self.master.spawn(slots=2)
        number = self.master.request("/echo_environ")
        while number not in (worker.claimed(0), worker.claimed(1)):
            os.sched_yield()
        got = eval(self.master.response(worker, [worker.claimed(0), worker.claimed(1)].index(number))[4])
        self.assertEqual((got["wsgi.multithread"], got["wsgi.multiprocess"]), (True, True))

    def test_errors(self):
        self.all("/errors")
        self.assertIn("to errors \u20ac\nab\n", self.master.read_log())


class Input(WSGITest):
    BODY = b"12345\nabcdef\nline\nrest\nend"
    WANTED = [b"12", b"345\n", b"abc", b"def\n", [b"line\n", b"rest\n", b"end"], b"", b""]

    def test_in_the_message(self):
        self.assertEqual(eval(self.all("/body", body=self.BODY, method="POST")[0][3]), self.WANTED)

    def test_in_a_file(self):
        fd = memory(0, self.BODY)
        os.lseek(fd, 5, os.SEEK_SET)  # left there by whoever wrote it
        environ = self.master.environ("/body", "POST")
        self.master.generations[1].put(5, environ, None, [fd])
        self.assertEqual(eval(self.master.response(self.worker)[4]), self.WANTED)
        os.close(fd)

    def test_in_the_store(self):
        size = 2 * STORE_BLOCK + 1000
        body = bytes(range(256)) * (size // 256) + b"the end of it..."
        for made in Store(8), Store(8):  # of one front, and of the next
            for blocks in (1, 2, 3), (7, 0, 5):
                item = made.put(9, body, blocks)
                self.master.generations[1].put(9, self.master.environ("/digest", "POST"), item, [made.fd])
                self.assertEqual(self.master.response(self.worker)[4], hashlib.sha256(body).hexdigest().encode())
            made.close()
        before = len(os.listdir("/proc/%d/fd" % self.worker.pid))
        made = Store(1)
        # Its memory is of another request by now.
        item = made.put(10, b"x", [0])
        self.master.generations[1].put(9, self.master.environ("/digest", "POST"), item, [made.fd])
        self.assertEqual(self.all("/one")[0][3], b"one")
        if platform.python_implementation() == "CPython":  # others close what was forgotten when they like
            self.assertEqual(len(os.listdir("/proc/%d/fd" % self.worker.pid)), before)
        # The head of this one is in a file.
        head = memory(0, marshal.dumps((self.master.environ("/digest", "POST"), item), 2))
        self.master.generations[1].put(10, None, None, [head, made.fd])
        self.assertEqual(self.master.response(self.worker)[4], hashlib.sha256(b"x").hexdigest().encode())
        made.close()
        os.close(head)

    def test_blocks_of_the_store(self):
        body = bytes(range(251)) * 2000
        made = Store(6)
        for blocks in ([2, 3, 4, 5], [3, 1, 0, 2], [0, 1, 4, 3]):
            item = made.put(9, body, blocks)
            self.assertEqual(bodyarena.read(os.dup(made.fd), 9, item), body)
            self.assertIsNone(bodyarena.read(os.dup(made.fd), 10, item))
        made.close()

    def test_environ_in_a_file(self):
        environ = self.master.environ("/body", "POST", HTTP_LONG="x" * 200000)
        head = memory(0, marshal.dumps((environ, self.BODY), 2))
        self.master.generations[1].put(5, None, None, [head])
        self.assertEqual(eval(self.master.response(self.worker)[4]), self.WANTED)
        os.close(head)

    def test_both_in_files(self):
        environ = self.master.environ("/size", "POST")
        head, body = memory(0, marshal.dumps((environ, None), 2)), memory(300000)
        before = len(os.listdir("/proc/%d/fd" % self.worker.pid))
        for _ in range(3):
            self.master.generations[1].put(5, None, None, [head, body])
            self.assertEqual(self.master.response(self.worker)[4], b"300000")
        self.all("/one")
        self.assertEqual(len(os.listdir("/proc/%d/fd" % self.worker.pid)), before)
        os.close(head)
        os.close(body)

    def test_no_room_for_descriptors(self):
        item = (200000, 0, 1)
        for environ, body, text in [
            (self.master.environ("/size", "POST"), None, "Error handling request POST /size"),
            (self.master.environ("/size", "POST"), item, "Error handling request POST /size"),
            (None, None, "Error handling request (no URI read)"),
        ]:
            with self.subTest(body=body, text=text):
                self.master.generations[1].put(5, environ, body)
                self.assertEqual(self.master.response(self.worker), (ERROR, 5))
                self.assertIn(text, self.master.wait_log("Too many open files"))
        self.assertEqual(self.all("/one")[0][3], b"one")


class Together(MasterTest):
    """Several requests in one message."""

    APP = """
import time
def app(environ, start):
    path = environ["PATH_INFO"]
    if path == "/error":
        raise ValueError("in the middle")
    say = start("200 OK", [])
    if path == "/write":
        say(b"a")
    if path == "/close":
        return Closing()
    while path == "/wait" and not environ["indrik.disconnected"]():
        time.sleep(0.001)
    if path == "/nap":
        time.sleep(0.01)
    return [bytes(int(path[5:])) if path.startswith("/big/") else path.encode()]
class Closing(list):
    def __init__(self):
        list.__init__(self, [b"/close"])
    def close(self):
        time.sleep(0.01)
"""

    def setUp(self):
        super().setUp()
        self.worker = self.master.up(self.APP)

    def answers(self):
        """Returns the kinds, numbers and bodies of one message."""
        data, _ = receive(self.worker.slots[0])
        return [m[:2] + m[4:] if len(m) > 3 else m for m in map(self.worker.with_body, strict_all(data))]

    def test_fast(self):
        a, b, c = self.master.request_all("/a", "/b", "/c")
        got = self.answers()
        while len(got) < 3:  # if this machine is busy
            got += self.answers()
        self.assertEqual(got, [(RESPONSE, a, b"/a"), (RESPONSE, b, b"/b"), (RESPONSE, c, b"/c")])
        self.assertEqual(self.worker.claimed(), c)
        self.assertEqual(self.master.get(self.worker, "/d")[4], b"/d")
        self.assertEqual(self.worker.shelf(), b"")

    def in_order(self, paths, *wanted):
        self.master.request_all(*paths)
        got = []
        while len(got) < len(wanted):
            got += [(m[0], *m[2:]) for m in self.answers()]
        self.assertEqual(got, list(wanted))

    def test_order(self):
        self.in_order(
            ["/a", "/write", "/b"], (RESPONSE, b"/a"), (START, b"a"), (CHUNK, b"/write"), (END,), (RESPONSE, b"/b")
        )
        self.in_order(["/a", "/error", "/b"], (RESPONSE, b"/a"), (ERROR,), (RESPONSE, b"/b"))
        self.in_order(["/error", "/write"], (ERROR,), (START, b"a"), (CHUNK, b"/write"), (END,))
        self.in_order(["/a", "/close", "/b"], (RESPONSE, b"/a"), (RESPONSE, b"/close"), (RESPONSE, b"/b"))
        self.in_order(
            ["/a", "/big/65000", "/big/65536", "/big/70000", "/b"],
            (RESPONSE, b"/a"),
            (RESPONSE, bytes(65000)),
            (RESPONSE, bytes(65536)),
            (RESPONSE, bytes(70000)),
            (RESPONSE, b"/b"),
        )

    def test_revoked(self):
        for at in range(3):
            numbers = list(range(self.master.number + 1, self.master.number + 4))
            self.master.generations[1].revoke(numbers[at])
            self.master.request_all("/0", "/1", "/2")
            got = []
            while len(got) < 3:
                got += self.answers()
            wanted = [(RESPONSE, number, b"/%d" % i) for i, number in enumerate(numbers)]
            wanted[at] = (REFUSED, numbers[at])
            self.assertEqual(got, wanted)

    def test_slow(self):
        # Answers do not wait for a request that has not begun.
        a, b, c = self.master.request_all("/a", "/nap", "/wait")
        got = self.answers()
        while len(got) < 2:
            got += self.answers()
        self.assertEqual(got, [(RESPONSE, a, b"/a"), (RESPONSE, b, b"/nap")])
        self.worker.scoreboard[self.worker.word(0, GONE)] = c
        self.assertEqual(self.answers(), [(RESPONSE, c, b"/wait")])

    def test_shelf(self):
        a, b, _ = self.master.request_all("/a", "/wait", "/c")
        while self.worker.claimed() != b:
            os.sched_yield()
        shelved = strict_all(self.worker.shelf())
        if shelved:  # it had no time to be sent
            self.assertEqual(shelved, [(RESPONSE, a, "200 OK", [], b"/a")])
        os.kill(self.worker.pid, signal.SIGKILL)
        self.master.exited(self.worker)
        self.assertEqual(strict_all(self.worker.shelf()), shelved)
        data, _ = receive(self.worker.slots[0])
        self.assertEqual(bool(data), not shelved)


class Asking(MasterTest):
    """The functions that tell an app about its request."""

    APP = """
import time
def app(environ, start):
    names = {name: environ["indrik." + name] for name in ("deadline", "extend_deadline", "disconnected")}
    names["now"] = time.monotonic
    say = start("200 OK", [])
    for line in environ["QUERY_STRING"].split(";"):
        while line.startswith("until:") and not eval(line[6:], names):
            time.sleep(0.001)
        if not line.startswith("until:"):
            say(repr(eval(line, names)).encode())
    return []
"""

    def answers(self, worker, query, meanwhile=None):
        number = self.master.request("/?" + query)
        values = []
        while True:
            message = self.master.response(worker)
            if message[0] == END:
                return values
            if message[0] in (START, CHUNK) and message[-1]:
                values.append(eval(message[-1]))
            elif message[0] == EXTEND:
                values.append(message)
            if meanwhile:
                meanwhile(worker, number)
                meanwhile = None

    def test_deadline(self):
        worker = self.master.up(self.APP, timeout=30)
        (left,) = self.answers(worker, "deadline()-now()")
        self.assertTrue(29.9 < left <= 30.1, left)  # nobody has noted anything yet

        def note(worker, number):
            # Also across the wrap of the word, which holds some 50 days.
            worker.scoreboard[worker.word(0, DEADLINE)] = number << 32 | int((time.monotonic() + 5) * 1000) & 0xFFFFFFFF

        values = self.answers(worker, "1;until:deadline()-now()<20;deadline()-now()", note)
        self.assertTrue(3 < values[1] <= 5, values)

    def test_extension(self):
        worker = self.master.up(self.APP, timeout=2)
        values = self.answers(worker, "extend_deadline(60)-now();deadline()-now();extend_deadline(1)-now()")
        self.assertEqual(values[0], (EXTEND, 1, 60001))
        for value in values[1], values[2], values[4]:
            self.assertTrue(59 < value <= 60.01, values)
        self.assertEqual(values[3], (EXTEND, 1, 1001))
        # It is no other request's, and has a bound.
        values = self.answers(worker, "deadline()-now();extend_deadline(1e9)-now()")
        self.assertTrue(1 < values[0] <= 2.01, values)
        self.assertEqual(values[1], (EXTEND, 2, 3600001))
        for nonsense in ("0", "-1", "float('nan')"):
            number = self.master.request("/?extend_deadline(%s)" % nonsense)
            self.assertEqual(self.master.response(worker)[:2], (ERROR, number))
            self.master.wait_log("an extension of")

    def test_no_timeout(self):
        worker = self.master.up(self.APP, timeout=0)
        self.assertEqual(self.answers(worker, "deadline();extend_deadline(5);deadline()"), [None, None, None])

    def test_disconnected(self):
        worker = self.master.up(self.APP)
        self.assertEqual(self.answers(worker, "disconnected()"), [False])
        number = self.master.request("/?disconnected();until:disconnected();disconnected()")
        self.assertEqual(self.master.response(worker)[-1], b"False")
        worker.scoreboard[worker.word(0, GONE)] = number
        self.assertEqual(self.master.response(worker), (END, number))  # what it writes then is dropped
        self.assertEqual(self.answers(worker, "disconnected()"), [False])


class Files(WSGITest):
    def test_descriptor(self):
        path = os.path.join(self.dir, "file")
        self.master.write("file", "0123456789")
        number = self.master.request("/file?" + path)
        message = self.master.response(self.worker)
        self.assertEqual(message[:6], (FILE, number, OK, TEXT, 3, -1))
        self.assertEqual(os.pread(message[6], 100, 0), b"0123456789")
        os.close(message[6])
        self.assertEqual(self.all("/file?" + path, method="HEAD"), [(START, OK, TEXT, b""), (END,)])

    def test_iterated(self):
        self.assertEqual(
            self.all("/file_in_memory"), [(START, OK, TEXT, b"in m"), (CHUNK, b"emor"), (CHUNK, b"y"), (END,)]
        )
        import gzip

        path = os.path.join(self.dir, "file.gz")
        with gzip.open(path, "wb") as f:
            f.write(b"unpacked")
        self.assertEqual(self.all("/file_gzip?" + path)[0], (START, OK, TEXT, b"unpacked"))
        self.master.write("file", "0123456789")
        path = os.path.join(self.dir, "file")
        self.assertEqual(self.all("/file_wrapped?" + path)[0], (START, OK, TEXT, b"0123456789"))

    def test_objects_of_their_own(self):
        # What an object reads is sent, whatever is in the file of its descriptor.
        self.master.write("file", "abcdefghij")
        path = os.path.join(self.dir, "file")
        for kind, wanted in [("pretends", b"read"), ("derived", b"ABCDEFGHIJ"), ("raw", b"raw")]:
            with self.subTest(kind):
                messages = self.all("/file_of_its_own?" + path, HTTP_KIND=kind)
                self.assertEqual(messages, [(START, OK, TEXT, wanted), (END,)])
        for kind, at, wanted in [
            ("plain", 0, b"abcdefghij"),
            ("unbuffered", 0, b"abcdefghij"),
            ("both", 0, b"abcdefghij"),
            ("written", 3, b"NOT flushed"),
        ]:
            with self.subTest(kind):
                number = self.master.request("/file_of_its_own?" + path, HTTP_KIND=kind)
                message = self.master.response(self.worker)
                self.assertEqual(message[:6], (FILE, number, OK, TEXT, at, -1))
                self.assertEqual(os.pread(message[6], 100, 0), wanted)
                os.close(message[6])
