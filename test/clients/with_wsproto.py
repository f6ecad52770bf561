"""Speaks with sockets:app by way of the package wsproto, over sockets of its own. Each
check that fails is an exception."""

import socket
import sys
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

PEER = urlsplit(sys.argv[1])


class Client:
    def __init__(self, path, extensions=(), subprotocols=()):
        self.sock = socket.create_connection((PEER.hostname, PEER.port), 30)
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.events = []
        self.send(Request(host="x", target=path, extensions=list(extensions), subprotocols=list(subprotocols)))

    def send(self, event):
        self.sock.sendall(self.ws.send(event))

    def next(self):
        while not self.events:
            data = self.sock.recv(65536)
            self.ws.receive_data(data or None)
            self.events += self.ws.events()
        return self.events.pop(0)

    def message(self):
        whole = None
        while True:
            event = self.next()
            assert isinstance(event, (TextMessage, BytesMessage)), event
            whole = event.data if whole is None else whole + event.data
            if event.message_finished:
                return whole if isinstance(whole, str) else bytes(whole)


def echo():
    for extensions in ((), (PerMessageDeflate(),)):
        client = Client("/echo", extensions, ["a", "b"])
        event = client.next()
        assert isinstance(event, AcceptConnection) and event.subprotocol == "b", event
        assert len(event.extensions) == len(extensions), event
        for data in ("hello", "\u20ac" * 100000):
            client.send(TextMessage(data=data))
            assert client.message() == data
        client.send(BytesMessage(data=b"\xff" * 3, message_finished=False))
        client.send(Ping(payload=b"between"))
        event = client.next()
        assert isinstance(event, Pong) and bytes(event.payload) == b"between", event
        client.send(BytesMessage(data=b"\xfe"))
        assert client.message() == b"\xff\xff\xff\xfe"
        client.send(CloseConnection(code=3456, reason="done"))
        event = client.next()
        assert isinstance(event, CloseConnection) and event.code == 3456, event
        assert client.ws.state is ConnectionState.CLOSED
        assert client.sock.recv(1) == b""


def closes():
    client = Client("/close?code=4001&reason=because")
    assert isinstance(client.next(), AcceptConnection)
    event = client.next()
    assert isinstance(event, CloseConnection) and (event.code, event.reason) == (4001, "because"), event
    client.send(event.response())
    assert client.sock.recv(1) == b""


def refusals():
    client = Client("/deny")
    event = client.next()
    assert isinstance(event, RejectConnection) and event.status_code == 401, event
    body = b""
    while True:
        event = client.next()
        assert isinstance(event, RejectData), event
        body += event.data
        if event.body_finished:
            break
    assert body == b"not you", body


for check in (echo, closes, refusals):
    check()
    print(check.__name__, "ok")
