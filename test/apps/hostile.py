"""An app whose workers do their worst, with all that a worker can reach: /attack/NAME.

GET / says hello, and an echo of ?word is another client's own answer.
"""

import array
import asyncio
import errno
import json
import mmap
import os
import signal
import socket
import stat
import time

STRANGER = int(os.environ.get("STRANGER", "0"))  # a process of the same user that is not the server's
SECRET = os.environ.get("SECRET", "/etc/shadow")

FORGED = [
    b"",
    b"{",
    b"null",
    b"\x00" * 100,
    b"[" * 60000,
    {"type": "exited", "worker": 1, "pid": STRANGER, "code": 0, "signal": 0},
    {"type": "exited", "worker": 2, "pid": STRANGER, "code": 0, "signal": 9},
    {"type": "ready", "worker": 2, "pid": STRANGER},
    {"type": "ready", "worker": 99, "pid": STRANGER, "kind": "asgi"},
    {"type": "ready"},
    {"type": "recycle"},
    {"type": "recycle", "worker": 2},
    {"type": "ok", "call": 1, "settings": {"errorlog": SECRET, "user": 0}, "hooks": [], "lines": {}},
    {"type": "ok", "call": 5, "pid": STRANGER},
    {"type": "failed", "call": 5, "stage": "spawner"},
    {"type": "files", "files": ["/etc"] * 2000, "since": 0},
    {"type": "drained"},
    {"type": "settled", "worker": 2},
    {"type": "quit"},
]


def forged():
    return [m if isinstance(m, bytes) else json.dumps(m).encode() for m in FORGED]


def descriptors():
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            yield fd, os.fstat(fd), os.readlink("/proc/self/fd/" + name)
        except OSError:
            pass


def sockets():
    for fd, st, _ in list(descriptors()):
        if stat.S_ISSOCK(st.st_mode):
            yield socket.socket(fileno=os.dup(fd))


def memories():
    return [(fd, link) for fd, _, link in descriptors() if link.startswith("/memfd:")]


def family():
    """The pids of the processes of the server that are no workers, by role."""
    master = spawner = os.getppid()
    # The parent of a worker is the master itself once its spawner or its template has gone.
    while master > 1 and not is_called("master", master):
        master = parent(master)
    found = {"master": master}
    if spawner != master:
        found["spawner"] = spawner
    for name in os.listdir("/proc"):
        if name.isdigit() and parent(int(name)) == master and is_called("front", name):
            found["front"] = int(name)
    return found


def is_called(role, pid):
    try:
        with open("/proc/%s/cmdline" % pid) as f:
            return ": %s [" % role in f.read()
    except OSError:
        return False


def parent(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def refused(result, what, function, *args):
    try:
        function(*args)
    except OSError as e:
        if e.errno in (errno.EPERM, errno.EACCES, errno.ESRCH, errno.ENOENT):
            return
        raise
    result.append(what)


# Each attack returns what it was allowed to do and should not have been.


def channel():
    for sock in sockets():
        for data in forged():
            try:
                sock.send(data, socket.MSG_DONTWAIT)
            except OSError:
                pass


def empty():
    for sock in sockets():
        try:
            sock.send(b"", socket.MSG_DONTWAIT)
        except OSError:
            pass


def rights():
    for sock in sockets():
        for data in (b'{"type":"recycle"}', b"", b"x"):
            try:
                sock.sendmsg(
                    [data],
                    [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2] * 60))],
                    socket.MSG_DONTWAIT,
                )
            except OSError:
                pass


def flood():
    end = time.time() + 1
    own = list(sockets())
    while time.time() < end:
        for sock in own:
            for data in (b'{"type":"files","files":[],"since":1}', b'{"type":"ready","worker":2,"pid":%d}' % STRANGER):
                try:
                    sock.send(data, socket.MSG_DONTWAIT)
                except OSError:
                    pass


def steal():
    for sock in sockets():
        try:
            sock.recvmsg(1 << 17, 4096, socket.MSG_DONTWAIT)
        except OSError:
            pass


def shut():
    for sock in sockets():
        for how in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            try:
                sock.shutdown(how)
            except OSError:
                pass


def memory():
    for fd, _ in memories():
        for size in (0, 1, 1 << 30):
            try:
                os.ftruncate(fd, size)
            except OSError:
                pass
        for flags in (os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_TRUNC):
            try:
                again = os.open("/proc/self/fd/%d" % fd, flags)
                os.ftruncate(again, 0)
            except OSError:
                pass
        try:
            size = os.fstat(fd).st_size
            with mmap.mmap(fd, size) as m:
                for at in range(0, min(size, 1 << 16), 8):
                    m[at : at + 8] = b"\xff" * 8
        except (OSError, ValueError):
            pass


def first_byte(path):
    with open(path, "rb") as f:
        return f.read(1)


def trace():
    """Looks into the others' memory, descriptors and environment."""
    others = family()
    allowed = [] if "front" in others else ["not to find the front"]
    for role, pid in others.items():
        if role == "spawner" and os.geteuid() == os.stat("/proc/%d" % pid).st_uid:
            continue  # without rights it is the workers' equal
        for name in ("mem", "environ", "maps"):
            refused(allowed, "%s of the %s" % (name, role), first_byte, "/proc/%d/%s" % (pid, name))
        refused(allowed, "descriptors of the %s" % role, os.listdir, "/proc/%d/fd" % pid)
    return allowed


def signals():
    allowed = []
    for role, pid in family().items():
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            refused(allowed, "%s to the %s" % (sig.name, role), os.kill, pid, sig)
    return allowed


def root():
    allowed = []
    refused(allowed, "setuid", os.setuid, 0)
    refused(allowed, "setgroups", os.setgroups, [0])
    refused(allowed, "the secret", open, SECRET)
    refused(allowed, "the secret, to write", open, SECRET, "a")
    with open("/proc/self/status") as f:
        status = dict(line.split(":", 1) for line in f)
    if status["NoNewPrivs"].strip() != "1":
        allowed.append("new privileges")
    if int(status["CapEff"], 16) or status["Groups"].split() not in ([], ["65534"]):
        allowed.append("rights: %r" % status)
    return allowed


def inherited():
    """A process that the worker has forked does the rest."""
    pid = os.fork()
    if pid == 0:
        try:
            channel()
            memory()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def close():
    os.closerange(3, 256)


ATTACKS = {
    f.__name__: f
    for f in (
        channel,
        empty,
        rights,
        flood,
        steal,
        shut,
        memory,
        trace,
        signals,
        root,
        inherited,
        close,
    )
}


def hang():
    while True:
        time.sleep(1)


def quit():
    os._exit(7)


def stranger():
    """Another process than the one that is forked speaks for the new worker."""
    found = sorted(fd for fd, st, _ in descriptors() if stat.S_ISSOCK(st.st_mode))
    pid = os.fork()
    if pid == 0:
        time.sleep(0.2)
        for fd in found:
            try:
                socket.socket(fileno=os.dup(fd)).send(b'{"type":"born"}', socket.MSG_DONTWAIT)
            except OSError:
                pass
        time.sleep(2)
        os._exit(0)


AS_TEMPLATE = dict(ATTACKS, hang=hang, quit=quit, stranger=stranger)
begun = False


def in_template():
    """Does in a template what the file of that name says, when it is to fork."""
    global begun
    with open("/proc/self/cmdline") as f:
        if "template" not in f.read() or begun:
            return
    begun = True
    with open("template") as f:
        name = f.read()
    print("the template tries %s" % name, flush=True)
    allowed = AS_TEMPLATE[name]()
    if allowed:
        print("the template was allowed: %s" % allowed, flush=True)


os.register_at_fork(before=in_template)

# A preloaded app keeps duplicates of all that there is in the spawner.
kept = [os.dup(fd) for fd, _, _ in list(descriptors())]


def attack(name):
    allowed = ATTACKS[name]()
    return "allowed: %s" % allowed if allowed else "done"


def answer(path, query):
    if path.startswith("/attack/"):
        return attack(path[len("/attack/") :])
    return "hello " + query


def app(environ, start_response):
    text = answer(environ["PATH_INFO"], environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    text = answer(scope["path"], scope["query_string"].decode())
    if scope["path"] == "/attack/steal":
        # The requests that it has taken are its own, as those of an app that never answers:
        # until the client leaves, or the worker ends.
        asyncio.get_running_loop().call_later(0.2, os._exit, 7)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
