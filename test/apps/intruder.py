"""An app that does to the front, and to the other workers, what it can by the memory and
the sockets that they share: /attack/NAME. GET /?WORD answers with the word.

wsgi and asgi do the same.
"""

import errno
import fcntl
import gc
import mmap
import os
import random
import signal
import socket
import struct
import threading
import time
from marshal import dumps

FALLOC = 0x03  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
RESPONSE, START, CHUNK, END = range(4)
SEALS = (1, 2, 4, 8, 16)


def worker():
    """Returns the server's own object of this process."""
    return next(o for o in gc.get_objects() if type(o).__module__ == "indrik.worker" and getattr(o, "slots", None))


def claimed():
    """Returns the number of the word of the scoreboard where the first slot says what it has."""
    from indrik import protocol, wire

    return wire.slot_word(0, protocol.SCOREBOARD_CLAIMED)


def memory_files():
    """Returns the memory files of this process: each descriptor, opened anew, and its name."""
    files = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            name = os.readlink("/proc/self/fd/%d" % fd)
        except OSError:
            continue
        if name.startswith("/memfd:indrik-"):
            try:
                again = os.open("/proc/self/fd/%d" % fd, os.O_RDWR)
            except OSError:
                again = os.dup(fd)
            files.append((again, name[len("/memfd:indrik-") :].partition(" ")[0]))
    # Those that are only mapped.
    with open("/proc/self/maps") as maps:
        mapped = {line.split()[0] for line in maps if "/memfd:indrik-" in line}
    for part in mapped:
        try:
            again = os.open("/proc/self/map_files/" + part, os.O_RDWR)
        except OSError:
            continue
        files.append((again, os.readlink("/proc/self/fd/%d" % again)[len("/memfd:indrik-") :].partition(" ")[0]))
    return files


def cut():
    """Returns what of the memory files could be made smaller, larger or sealed."""
    done = []
    for fd, name in memory_files():
        if name == "stacks":
            os.ftruncate(fd, 1 << 40)
            continue
        for what, function in (
            ("cut", lambda fd: os.ftruncate(fd, 0)),
            ("grown", lambda fd: os.ftruncate(fd, 1 << 30)),
            ("sealed", lambda fd: [fcntl.fcntl(fd, 1033, seal) for seal in SEALS]),
        ):
            try:
                function(fd)
                done.append("%s %s" % (name, what))
            except OSError as e:
                if e.errno not in (errno.EPERM, errno.EINVAL, errno.EACCES, errno.EBADF):
                    done.append("%s %s: %s" % (name, what, e))
        os.close(fd)
    return done


def scribble():
    """Writes everywhere on the scoreboard, and takes its memory away."""
    scoreboard = worker().scoreboard.obj
    keep = scoreboard[:]
    for filling in (b"\xff", b"\0", None):
        for at in range(0, len(scoreboard) - 4096, 4096):
            scoreboard[at : at + 4096] = filling * 4096 if filling else os.urandom(4096)
        time.sleep(0.05)
    if hasattr(scoreboard, "madvise"):
        try:
            scoreboard.madvise(mmap.MADV_REMOVE)
        except (OSError, AttributeError):
            pass
    scoreboard[:] = keep
    return ["done"]


def forge():
    """Answers for others, by each id that may be in use, with and without a token."""
    w = worker()
    own = w.scoreboard[claimed()]
    sock = w.slots[0].dup()
    for id in range(max(1, own - 200), own + 200):
        if id == own:
            continue
        for name in (id, random.randbytes(8) + struct.pack("=Q", id)):
            try:
                sock.send(dumps((RESPONSE, name, "200 OK", [], b"forged"), 2))
            except OSError as e:
                return [str(e)]
    return ["done"]


def say(data):
    worker().slots[0].send(data)
    time.sleep(10)
    return ["still here"]


def break_sequence():
    "Sends the middle of a response that has not begun, until the thread of that slot has one to give."
    w = worker()
    end = time.time() + 10
    while time.time() < end:
        w.slots[0].send(dumps((CHUNK, w.scoreboard[claimed()], b"x"), 2))
        time.sleep(0.01)
    return ["still here"]


def close_slot():
    w = worker()
    w.slots[0].shutdown(socket.SHUT_RDWR)
    time.sleep(10)
    return ["still here"]


def eat():
    """Takes requests out of the queue."""
    queue = worker().queue

    def run():
        while True:
            try:
                queue.recv(1 << 20)
            except BlockingIOError:
                time.sleep(0.001)

    for _ in range(4):
        threading.Thread(target=run, daemon=True).start()
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def attack(name):
    if name == "cut":
        return cut()
    if name == "scribble":
        return scribble()
    if name == "forge":
        return forge()
    if name == "empty":
        return say(b"")
    if name == "nonsense":
        return say(b"nonsense")
    if name == "sequence":
        return break_sequence()
    if name == "close":
        return close_slot()
    if name == "shutdown":
        worker().queue.shutdown(socket.SHUT_RDWR)
        return ["done"]
    if name == "nonblocking":
        os.set_blocking(worker().queue.fileno(), False)
        return ["done"]
    if name == "eat":
        return eat()
    raise ValueError(name)


def answer(path, query):
    if path.startswith("/attack/"):
        return "\n".join(attack(path[len("/attack/") :])).encode()
    time.sleep(0.005)  # so that others are in flight at the same time
    return query.encode()


def wsgi(environ, start_response):
    body = answer(environ["PATH_INFO"], environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    body = answer(scope["path"], scope["query_string"].decode())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
