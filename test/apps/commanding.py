"""An app that tries to give the server a command: by itself, by a child, and by a process whose parent has ended."""

import json
import os
import socket
import struct
import time


def command():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("srv.ctl")
        body = json.dumps({"id": 1, "command": "reload", "args": []}).encode()
        s.sendall(struct.pack(">I", len(body)) + body)
        return s.recv(4096)[4:]


def by_child(orphan):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        parent = os.getpid()
        if orphan and os.fork() != 0:
            os._exit(0)
        while orphan and os.getppid() == parent:
            time.sleep(0.001)
        os.write(w, command())
        os._exit(0)
    os.close(w)
    os.waitpid(pid, 0)
    with os.fdopen(r, "rb") as f:
        return f.read()


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/own":
        body = command()
    elif path in ("/child", "/orphan"):
        body = by_child(path == "/orphan")
    else:
        body = b"hello"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
