"""WebSockets of WSGI apps, as packages make them: SOCKETS says which. drive.py is the client."""

import os

WHICH = os.environ["SOCKETS"]

if "no-geventwebsocket" in WHICH:
    import sys

    sys.modules["geventwebsocket"] = None  # not installed, as far as engineio sees

if WHICH == "resource":
    from geventwebsocket import Resource, WebSocketApplication

    class Chat(WebSocketApplication):
        def on_message(self, message):
            if message is None:
                return
            for client in list(self.ws.handler.server.clients.values()):
                client.ws.send("all: " + message)

        def on_close(self, reason):
            print("the chat has lost a client", flush=True)

    def plain(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"plain"]

    app = Resource([("^/chat", Chat), ("^/", plain)])

else:
    from flask import Flask

    app = Flask(__name__)

    @app.route("/")
    def index():
        return "plain"


if WHICH == "flask-sock":
    from flask_sock import Sock

    app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 1, "subprotocols": ["chat"]}
    sock = Sock(app)

    @sock.route("/echo")
    def echo(ws):
        while True:
            data = ws.receive()
            if data == "close":
                ws.close(4001, "as you like")
            ws.send(data)

    @sock.route("/bye")
    def bye(ws):
        ws.send("bye")

elif WHICH.startswith("flask-socketio"):
    from flask import request
    from flask_socketio import SocketIO, emit, join_room

    socketio = SocketIO(app, async_mode=WHICH.split()[1])

    @socketio.on("connect")
    def connect():
        join_room("all")

    @socketio.on("echo")
    def back(data):
        emit("echoed", data)
        return "acknowledged"

    @socketio.on("tell")
    def tell(data):
        emit("told", data, to="all")

    @socketio.on("disconnect")
    def disconnect(*reason):
        print("disconnected", request.sid != "", flush=True)
