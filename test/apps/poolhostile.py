"""Does its worst with what a caller of pools, and a worker of a pool, have of the server's.

/attack/NAME has a worker do it, /attack/pool/NAME a worker of the pool; /who asks the pool who it is.
"""

import gc
import os
import socket
import struct

from indrik import callconn, pools

NAME = "poolhostile:Hostile"


class Hostile(pools.DirtyApp):
    def who(self):
        return "pool"

    def attack(self, name):
        worker = next(o for o in gc.get_objects() if type(o).__name__ == "PoolWorker")
        ON_SLOT[name](worker.slots)
        return "done"


def send(sock, data, *fds):
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("%di" % len(fds), *fds))] if fds else []
    try:
        sock.sendmsg([data], ancillary, socket.MSG_DONTWAIT)
    except OSError:
        pass


def growing():
    """A memory file that can change, of a size that goes in a file."""
    fd = os.memfd_create("hostile")
    os.truncate(fd, 1 << 20)
    return fd


def head(kind, flags, size):
    return struct.pack(">BBQ", kind, flags, size)


def call(app):
    return head(1, 0, 0) + struct.pack(">IHH", 0, len(app), 2) + app + b"go"


def flood():
    """More calls at a time than anybody may have, and none of them is read."""
    connections = []
    for _ in range(1500):
        try:
            connection = callconn._dial()
        except OSError:
            break
        send(connection, call(NAME.encode()))
        connections.append(connection)


def blocks():
    """A call connection whose other end is still here, and blocks."""
    mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    send(callconn._channel, b"\0", other.fileno())
    other.setblocking(True)
    for _ in range(3):
        send(mine, call(NAME.encode()))


AS_CALLER = {
    "nothing": lambda: send(callconn._channel, b""),
    "words": lambda: send(callconn._channel, b"GET / HTTP/1.1"),
    "no socket": lambda: send(callconn._channel, b"\0", 0),
    "a stream": lambda: send(callconn._channel, b"\0", socket.socketpair()[0].fileno()),
    "its own channel": lambda: send(callconn._channel, b"\0", callconn._channel.fileno()),
    "closed": lambda: callconn._channel.shutdown(socket.SHUT_RDWR),
    "no call": lambda: send(callconn._dial(), b"x" * 70000),
    "a result": lambda: send(callconn._dial(), head(2, 0, 0)),
    "a payload that changes": lambda: send(callconn._dial(), head(1, 1, 1 << 20) + call(b"a")[10:], growing()),
    "a stash without end": lambda: [pools.stash.put("t", str(n), "x" * 60000) for n in range(3000)],
    "flood": flood,
    "blocks": blocks,
}

ON_SLOT = {
    "words": lambda slots: send(slots[0], b"x" * 100),
    "a call": lambda slots: send(slots[0], call(b"a")),
    "an answer too many": lambda slots: send(slots[0], head(2, 0, 0)),
    "a payload that changes": lambda slots: send(slots[0], head(2, 1, 1 << 20), growing()),
    "closed": lambda slots: slots[0].shutdown(socket.SHUT_RDWR),
    "the end": lambda slots: os._exit(0),
    "a signal to its parent": lambda slots: os.kill(os.getppid(), 9),
}


def app(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/":
        return [b"hello"]
    try:
        if path == "/who":
            return [pools.execute(NAME, "who").encode()]
        name = path[len("/attack/") :].replace("_", " ")
        if name.startswith("pool/"):
            return [pools.execute(NAME, "attack", name[len("pool/") :]).encode()]
        AS_CALLER[name]()
    except pools.DirtyError as e:
        return [type(e).__name__.encode()]
    return [b"done"]
