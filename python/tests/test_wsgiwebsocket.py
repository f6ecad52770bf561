"""WebSockets of WSGI apps: the answer to the handshake, and wsgi.websocket."""

import errno
import logging
import os
import socket
import struct
import sys
import threading
import unittest
from marshal import loads
from types import SimpleNamespace

from indrik import websocketapi, wsgiwebsocket
from indrik.protocol import REPLY_ACCEPT, REPLY_CLOSE, REPLY_LEAVE, REPLY_RESPONSE
from indrik.wire import descriptors
from indrik.wsgiresponse import WSGIResponse

from .support import LIMIT

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n"


def frame(first, payload=b"", mask=b"\0\0\0\0"):
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + mask + payload


class Sockets(unittest.TestCase):
    def setUp(self):
        ours, self.front = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.front.settimeout(LIMIT)
        self.addCleanup(ours.close)
        self.addCleanup(self.front.close)
        self.response = type("Response", (WSGIResponse,), {"sock": ours, "scoreboard": [0]})()
        self.response.id = self.response.ref = 7
        self.worker = SimpleNamespace(
            threaded=True,
            is_gevent=False,
            stopping=False,
            pid=object(),
            wsgi=None,
            log=SimpleNamespace(error_log=logging.getLogger()),
        )
        self.environ = {
            "HTTP_SEC_WEBSOCKET_VERSION": "13",
            "HTTP_SEC_WEBSOCKET_PROTOCOL": "one, two",
            "HTTP_ORIGIN": "http://a",
            "PATH_INFO": "/p",
            "REMOTE_ADDR": "192.0.2.1",
            "REMOTE_PORT": "5",
        }
        self.handshake = self.response.web_socket = wsgiwebsocket.Handshake(self.worker, self.response, self.environ)
        self.addCleanup(self.close)
        self.sock = self.environ["gunicorn.socket"]
        self.ws = self.environ["wsgi.websocket"]

    def close(self):
        if self.environ["wsgi.websocket"] is not None:
            self.handshake.close()

    def message(self):
        """Returns the next message to the front, and its descriptors."""
        data, ancillary, _, _ = self.front.recvmsg(65536, socket.CMSG_SPACE(16))
        return loads(data), descriptors(ancillary)

    def accepted(self):
        """Returns the front's end of the connection."""
        message, fds = self.message()
        self.assertEqual((message[:2], len(fds)), ((REPLY_ACCEPT, 7), 1))
        client = socket.socket(fileno=fds[0])
        client.settimeout(LIMIT)
        self.addCleanup(client.close)
        return client


class Answer(Sockets):
    def test_it_comes_in_pieces_and_frames_behind_it(self):
        for piece in (ANSWER[:5], ANSWER[5:], b"X-A: b\r\nSec-WebSocket-Protocol: two\r\n\r", b"\n\x81\x01x"):
            self.assertEqual(self.sock.send(piece), len(piece))
        message, fds = self.message()
        self.assertEqual(message, (REPLY_ACCEPT, 7, "two", [("X-A", "b")]))
        client = socket.socket(fileno=fds[0])
        self.assertEqual(client.recv(100), b"\x81\x01x")
        self.sock.sendall(b"\x81\x01y")
        self.assertEqual(client.recv(100), b"\x81\x01y")
        client.close()
        self.assertEqual((self.response.status, self.response.started), ("101 Switching Protocols", True))

    def test_another_status_denies(self):
        self.sock.send(b"HTTP/1.1 403 Forbidden\r\nX-Why: no\r\n\r\nnot you")
        self.assertEqual(self.message(), ((REPLY_RESPONSE, 7, "403 Forbidden", [("X-Why", "no")], b"not you"), []))
        with self.assertRaises(OSError) as caught:
            self.sock.send(b"more")
        self.assertEqual(caught.exception.errno, errno.EPIPE)
        self.assertTrue(self.handshake.is_usual_end(StopIteration()))
        self.assertIsNone(self.handshake.end())

    def test_what_is_no_answer(self):
        with self.assertRaisesRegex(ValueError, "is no answer to a WebSocket handshake"):
            self.sock.send(b"\x81\x01x\r\n\r\n")

    def test_an_endless_answer(self):
        with self.assertRaisesRegex(ValueError, "more than 65536 bytes"):
            self.sock.send(ANSWER + bytes(70000))

    def test_a_subprotocol_that_was_not_offered(self):
        with self.assertRaisesRegex(ValueError, "does not offer the subprotocol 'three'"):
            self.sock.send(ANSWER + b"Sec-WebSocket-Protocol: three\r\n\r\n")

    def test_frames_of_threads_do_not_mix(self):
        self.sock.send(ANSWER + b"\r\n")
        client = self.accepted()
        part = 300000

        def send(letter):
            for _ in range(5):
                self.sock.send(letter * part)

        threads = [threading.Thread(target=send, args=(letter,)) for letter in (b"a", b"b")]
        for thread in threads:
            thread.start()
        got = b""
        while len(got) < 10 * part:
            got += client.recv(1 << 20)
        for thread in threads:
            thread.join()
        for at in range(0, len(got), part):
            self.assertEqual(len(set(got[at : at + part])), 1)

    def test_how_it_ends(self):
        self.assertFalse(self.handshake.is_usual_end(StopIteration()))
        self.sock.send(ANSWER + b"\r\n")
        self.accepted()
        self.assertTrue(self.handshake.is_usual_end(StopIteration()))
        self.assertTrue(self.handshake.is_usual_end(BrokenPipeError()))
        self.assertFalse(self.handshake.is_usual_end(OSError()))
        self.assertFalse(self.handshake.is_usual_end(ValueError()))
        self.response.start_response("200 OK", [])(b"for nobody")
        self.response.respond([b"for nobody"], "GET")
        self.assertEqual(self.message()[0], (REPLY_CLOSE, 7, 1000, b""))
        self.assertIsNone(self.handshake.end())

    def test_an_error_that_the_app_answers(self):
        self.sock.send(ANSWER + b"\r\n")
        self.accepted()
        self.response.start_response("500 Oops", [])
        self.response.respond([], "GET")
        self.assertEqual(self.message()[0], (REPLY_CLOSE, 7, 1011, b""))

    def test_a_worker_that_leaves_says_so(self):
        wsgiwebsocket.leave()
        self.sock.send(ANSWER + b"\r\n")
        self.accepted()
        wsgiwebsocket.leave()
        self.assertEqual(self.message()[0], (REPLY_LEAVE, 7))
        self.handshake.close()
        wsgiwebsocket.leave()
        self.front.setblocking(False)
        self.assertRaises(BlockingIOError, self.front.recv, 100)

    def test_nothing_is_left(self):
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        self.handshake.close()
        if before:
            self.assertEqual(len(os.listdir("/proc/self/fd")), before - 2)


class Object(Sockets):
    def open(self):
        self.ws.send("first")
        client = self.accepted()
        self.assertEqual(client.recv(100), b"\x81\x05first")
        return client

    def test_messages(self):
        client = self.open()
        client.sendall(
            frame(0x01, b"a\xe2") + frame(0x89, b"p") + frame(0x80, b"\x82\xac") + frame(0x82, b"\xff") + frame(0x81)
        )
        self.assertEqual(self.ws.receive(), "a\u20ac")
        self.assertEqual(client.recv(100), b"\x8a\x01p")
        self.assertEqual(self.ws.receive(), b"\xff")
        self.assertEqual(self.ws.receive(), "")
        for size in (125, 126, 65535, 65536):
            client.sendall(frame(0x82, bytes(size)))
            self.assertEqual(self.ws.receive(), bytes(size))
            self.ws.send(bytes(size))
            self.assertEqual(len(self.whole(client, size)), self.framed(size))

    @staticmethod
    def framed(size):
        return size + (2 if size < 126 else 4 if size < 1 << 16 else 10)

    def whole(self, client, size):
        got = b""
        while len(got) < self.framed(size):
            got += client.recv(1 << 20)
        return got

    def test_attributes(self):
        ws = self.ws
        self.assertEqual(
            (ws.origin, ws.protocol, ws.version, ws.path, ws.closed), ("http://a", "one, two", "13", "/p", False)
        )
        client = self.open()
        self.assertIs(ws.handler.active_client.ws, ws)
        self.assertEqual(ws.handler.active_client.address, ("192.0.2.1", "5"))
        ws.close(4000, "bye")
        self.assertEqual(client.recv(100), b"\x88\x05\x0f\xa0bye")
        self.assertEqual((ws.origin, ws.closed), (None, True))
        self.handshake.close()
        self.assertEqual(ws.handler.server.clients, {})

    def test_the_client_closes(self):
        client = self.open()
        client.sendall(frame(0x88, b"\x0f\xa0bye"))
        self.assertIsNone(self.ws.receive())
        self.assertEqual(client.recv(100), b"\x88\x05\x0f\xa0bye")
        for call in (self.ws.receive, lambda: self.ws.send("x")):
            with self.assertRaises(websocketapi.WebSocketError):
                call()
        self.ws.close()

    def test_the_client_goes(self):
        client = self.open()
        client.close()
        self.assertIsNone(self.ws.receive())
        with self.assertRaises(websocketapi.WebSocketError) as caught:
            self.ws.send("x")
        self.assertTrue(self.handshake.is_usual_end(caught.exception))

    def test_the_exception_that_the_app_knows(self):
        theirs = type("WebSocketError", (OSError,), {})
        sys.modules["geventwebsocket.exceptions"] = SimpleNamespace(WebSocketError=theirs)
        self.addCleanup(sys.modules.pop, "geventwebsocket.exceptions")
        client = self.open()
        client.close()
        with self.assertRaises(theirs):
            for _ in range(100):
                self.ws.send("x" * 100000)

    def test_the_app_chooses_a_subprotocol(self):
        self.ws.handler.application = SimpleNamespace(app_protocol=lambda path: {"/p": "two"}[path])
        self.ws.send("x")
        message, fds = self.message()
        os.close(fds[0])
        self.assertEqual(message, (REPLY_ACCEPT, 7, "two", []))

    def test_an_app_that_does_not_touch_it_may_deny(self):
        self.response.start_response("401 No", [])
        self.response.respond([b"no"], "GET")
        self.assertEqual(self.message()[0], (REPLY_RESPONSE, 7, "401 No", [], b"no"))
        with self.assertRaises(OSError):
            self.ws.send("late")


if __name__ == "__main__":
    unittest.main()
