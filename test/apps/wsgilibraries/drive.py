"""Talks to the apps of sockets.py as their clients do: drive.py WHICH URL."""

import sys
import threading

which, url = sys.argv[1], sys.argv[2]


def say(*words):
    print(*words, flush=True)


def flask_sock():
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    ws_url = url.replace("http", "ws", 1)
    with connect(ws_url + "/echo", subprotocols=["other", "chat"], ping_interval=None) as ws:
        for data in ("hello", b"\x00\xff", "x" * 500000, "\u20ac" * 70000):
            ws.send(data)
            say("echo", ws.recv(timeout=20) == data)
        say("subprotocol", ws.subprotocol)
        for _ in range(3):  # longer than the app's pings
            threading.Event().wait(0.8)
            ws.send("still")
            say(ws.recv(timeout=20))
        ws.send("close")
        try:
            ws.recv(timeout=20)
        except ConnectionClosed as e:
            say("closed", e.rcvd.code, e.rcvd.reason)
    with connect(ws_url + "/bye") as ws:
        say(ws.recv(timeout=20))
        try:
            ws.recv(timeout=20)
        except ConnectionClosed as e:
            say("closed", e.rcvd.code)


def flask_socketio():
    import socketio

    for transports in (["websocket"], ["polling", "websocket"]):
        clients = [socketio.Client(), socketio.Client()]
        told = [threading.Event(), threading.Event()]
        for client, event in zip(clients, told):
            client.on("told", lambda data, event=event: event.set() if data == "news" else None)
            client.connect(url, transports=transports, wait_timeout=20)
        upgraded = threading.Event()
        for _ in range(100):
            if all(c.transport() == "websocket" for c in clients):
                break
            upgraded.wait(0.1)
        say("transports", *[c.transport() for c in clients])
        say(clients[0].call("echo", {"a": [1, "\u20ac"], "large": "x" * 300000}, timeout=30))
        clients[0].emit("tell", "news")
        say("told", *[e.wait(20) for e in told])
        for client in clients:
            client.disconnect()


def resource():
    from websockets.sync.client import connect

    chat = url.replace("http", "ws", 1) + "/chat"
    with connect(chat) as one, connect(chat) as two:
        two.send("one")
        say(two.recv(timeout=20))
        one.send("hello")
        while True:
            data = one.recv(timeout=20)
            if data == "all: hello":
                break
        say(data, two.recv(timeout=20))


globals()[which.split()[0].replace("-", "_")]()
