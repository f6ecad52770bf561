"""A WSGI app with a WebSocket for each behaviour, by path: below /raw on environ's
gunicorn.socket, whose frames it makes itself, otherwise on wsgi.websocket. GET / answers with
what ended so far: a line for each, the path, the code and the reason."""

import os
import socket
import struct
import time

import gate

ended = []
counts = {"sent": 0}


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if "wsgi.websocket" not in environ:
        return text(
            start_response, "200 OK", "".join("%s %s %s\n" % e for e in ended) if path == "/" else str(counts["sent"])
        )
    if path == "/deny":
        return text(start_response, "401 Unauthorized", "not you")
    if path == "/before":
        raise RuntimeError("before")
    kind, _, name = path.strip("/").rpartition("/")
    ws = {"": Object, "raw": Raw}[kind](environ)
    globals()[name](ws)
    if kind == "raw":
        raise StopIteration  # how Gunicorn's workers are left
    return []


def text(start_response, status, body):
    headers = [("X-Pid", str(os.getpid())), ("X-Why", "no"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body.encode()]


class Object:
    """wsgi.websocket."""

    def __init__(self, environ):
        self.environ = environ
        self.ws = environ["wsgi.websocket"]
        self.send, self.close = self.ws.send, self.ws.close

    def receive(self):
        return self.ws.receive()

    def accept(self):
        self.send("pid %d" % os.getpid())


class Raw:
    """WebSocket on gunicorn.socket, as far as these tests need it."""

    def __init__(self, environ):
        self.environ = environ
        self.sock = environ["gunicorn.socket"]
        self.path = environ["PATH_INFO"]
        self.protocol = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")[-1].strip()
        self.file = self.sock.makefile("rb")
        assert "HTTP_SEC_WEBSOCKET_EXTENSIONS" not in environ
        assert environ["HTTP_UPGRADE"] == "websocket" and "upgrade" in environ["HTTP_CONNECTION"].lower()
        assert environ["REQUEST_METHOD"] == "GET" and environ["HTTP_SEC_WEBSOCKET_KEY"]

    def accept(self, status="101 Switching Protocols"):
        head = "HTTP/1.1 %s\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\nX-Pid: %d\r\n"
        head %= status, os.getpid()
        if self.protocol:
            head += "Sec-WebSocket-Protocol: %s\r\n" % self.protocol
        self.sock.send(head.encode())
        self.sock.sendall(b"\r\n")

    def frame(self, first, payload):
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", first, size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", first, 126, size)
        else:
            head = struct.pack("!BBQ", first, 127, size)
        self.sock.send(head + payload)

    def send(self, data):
        if isinstance(data, str):
            self.frame(0x81, data.encode())
        else:
            self.frame(0x82, bytes(data))

    def close(self, code=1000, reason=""):
        self.frame(0x88, struct.pack("!H", code) + reason.encode())

    def next(self):
        head = self.file.read(2)
        if len(head) < 2:
            return None, b""
        assert head[1] & 0x80, "a client masks"
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", self.file.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self.file.read(8))[0]
        mask = self.file.read(4) * (size // 4 + 1)
        payload = self.file.read(size)
        return head[0], bytes(a ^ b for a, b in zip(payload, mask)) if any(mask) else payload

    def receive(self):
        data, is_text = b"", False
        while True:
            first, payload = self.next()
            if first is None:
                ended.append((self.path, 1006, "-"))
                return None
            if first == 0x88:
                code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                ended.append((self.path, code, payload[2:].decode() or "-"))
                self.frame(0x88, payload)
                return None
            if first & 0x0F == 0x0A:
                ended.append(("pong", 0, payload.decode()))
                continue
            is_text = is_text or first & 0x0F == 1
            data += payload
            if first & 0x80:
                return data.decode() if is_text else data


def echo(ws):
    ws.accept()
    while True:
        data = ws.receive()
        if data is None:
            if isinstance(ws, Object):
                ended.append(("/echo", 0, "-"))
            return
        ws.send(data)


def late(ws):
    gate.wait("late")
    echo(ws)


def close(ws):
    ws.accept()
    code, _, reason = ws.environ["QUERY_STRING"].partition(",")
    ws.close(int(code), reason)
    time.sleep(0.1)


def returns(ws):
    ws.accept()
    ws.send("last words")


def fails(ws):
    ws.accept()
    ws.send("last words")
    raise RuntimeError("after")


def refuses(ws):
    ws.accept("400 Bad Request")
    try:
        ws.send("late")
    except BrokenPipeError:
        ended.append(("BrokenPipeError", 0, "-"))


def drops(ws):
    """Closes the socket, and goes on."""
    ws.accept()
    ws.sock.close()
    ws.file.close()
    gate.wait("drops")


def pings(ws):
    ws.accept()
    ws.frame(0x89, b"are you there")
    while ws.receive() is not None:
        pass


def violates(ws):
    """Sends what is no frame of a server's, in one of several ways."""
    ws.accept()
    ws.sock.send(bytes.fromhex(ws.environ["QUERY_STRING"]))
    ws.receive()


def flood(ws):
    """Sends all it can, and counts the bytes."""
    ws.accept()
    data = bytes(64 << 10)
    try:
        while True:
            ws.send(data)
            counts["sent"] += len(data)
    except OSError:
        ended.append(("/flood", 0, "-"))
        raise


def deaf(ws):
    """Receives nothing until it is told to by a file."""
    ws.accept()
    while not os.path.exists("listen"):
        time.sleep(0.02)
    size = 0
    while True:
        data = ws.receive()
        if data is None:
            return
        if data == b"end":
            ws.send(str(size))
        size += len(data)


def dies(ws):
    ws.accept()
    ws.send("last words")
    ws.receive()
    os._exit(1)


def stays(ws):
    """Goes on for a while when its client has gone."""
    ws.accept()
    while ws.receive() is not None:
        pass
    gate.wait("stays")


def hostile(ws):
    """Does its worst with a connection, and with the front's end of the pair, which it has kept."""
    kept = socket.socket(fileno=os.dup(ws.environ["wsgi.websocket"]._handshake._front.fileno()))
    ws.accept()
    globals()["hostile_" + ws.environ["QUERY_STRING"]](ws.sock, kept)
    time.sleep(0.3)


def hostile_blocking(sock, kept):
    """Has a call of the front's wait, if one does that can."""
    for _ in range(2000):
        kept.setblocking(True)
    sock.setblocking(False)
    send_all(sock, b"\x82\x7e\x40\x00" + bytes(0x4000), 50)
    time.sleep(0.5)


def hostile_steal(sock, kept):
    """Reads and writes where the front does."""
    kept.setblocking(False)
    send_all(kept, b"\x88\x02\x03\xe8" * 1000, 10)
    for _ in range(100):
        sock.send(b"\x82\x01x")
        try:
            kept.recv(65536)
        except BlockingIOError:
            pass


def hostile_shut(sock, kept):
    kept.shutdown(socket.SHUT_RDWR)


def hostile_descriptors(sock, kept):
    """Sends descriptors on and on."""
    with open("/dev/null") as f:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("100i", *[f.fileno()] * 100))]
        for _ in range(200):
            try:
                socket.socket.sendmsg.__get__(plain(sock))([b"\x82\x01x"], rights)
            except OSError:
                break


def hostile_tiny(sock, kept):
    """Sends nothing, in as many frames as it can."""
    send_all(sock, b"\x01\x00" + b"\x00\x00" * 30000, 50)


def hostile_endless(sock, kept):
    """Begins a message of 2^62 bytes, and a frame that never ends."""
    send_all(sock, b"\x82\x7f\x40" + bytes(7) + bytes(1 << 20), 20)


def hostile_exits(sock, kept):
    os._exit(1)


def plain(sock):
    """The same socket without what the server has added."""
    return socket.socket(fileno=os.dup(sock.fileno()))


def send_all(sock, data, times):
    for _ in range(times):
        try:
            sock.send(data)
        except OSError:
            return
