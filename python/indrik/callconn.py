"""Call connections: how this process has an app of a pool do something. The front takes a
call to a worker of the pool, and brings back what that says (docs/protocol.md).

A connection is a pair of message sockets, of which the front gets one end. It has one call at
a time, and is kept for the next one. What waits for it waits in its own way: a thread, a
greenlet, where the standard library is patched, or a task, by an event loop.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct

from . import stdlib
from .protocol import (
    MAX_POOL_INLINE,
    MAX_POOL_MESSAGE,
    MAX_POOL_NAME,
    MAX_POOL_PAYLOAD,
    MAX_STASH_KEY,
    POOL_CALL,
    POOL_CHUNK,
    POOL_END,
    POOL_ERROR,
    POOL_RESULT,
    POOL_STASH,
)
from .wire import RECEIVE_FLAGS, close_all, descriptors, rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket
    from typing import List, Optional, Tuple, Union

    Payload = Union[bytes, bytearray, "memoryview[int]"]

RESULT, ERROR, CHUNK, END = POOL_RESULT, POOL_ERROR, POOL_CHUNK, POOL_END

HEAD = struct.Struct(">BBQ")  # kind, flags, size of the payload
_CALL = struct.Struct(">IHH")  # time limit, lengths of app and action
_STASH = struct.Struct(">BHH")  # operation, lengths of table and key

IN_FILE = 1  # the flag of a payload in a file
MAX_MILLISECONDS = 0xFFFFFFFF

# How many connections wait for a next call.
_MAX_FREE = 64

# fcntl(2); the module has these names from Python 3.9 on, and only on Linux.
_F_ADD_SEALS, _SEALS = 1033, 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, _SHRINK, _GROW, _WRITE
_MFD_CLOEXEC_ALLOW_SEALING = 0x1 | 0x2
_SEAL_TRIES = 20


class NoPools(RuntimeError):
    """This process has no pools to call."""


class FrontGone(ConnectionError):
    """The front has ended, or has ended the connection. What became of the call is not known."""


class Cancelled(Exception):
    """Nobody waits any more for what an action returns, or yields."""


_channel: Optional[socket] = None
_free: List[Connection] = []


def attach(fd: int) -> None:
    """Takes over this process's channel to the front."""
    global _channel
    from .wire import adopt

    _channel = adopt(fd)


def available() -> bool:
    """Reports whether this process can call pools."""
    return _channel is not None


def _forget() -> None:
    """Takes the connections from a process that was forked: it is no worker."""
    global _channel
    channel, _channel = _channel, None
    if channel is not None:
        channel.close()
    while _free:
        _free.pop().sock.close()


os.register_at_fork(after_in_child=_forget)


def open() -> Connection:
    """Returns a connection without a call. Raises NoPools, or OSError if there is no descriptor
    left."""
    while True:
        try:
            connection = _free.pop()
        except IndexError:
            return Connection(_dial())
        if connection.is_usable():
            return connection
        connection.close()


def _dial() -> socket:
    """Makes a pair of sockets, sends the front one of them, and returns the other one."""
    # Here, and not above: where the library is patched these are those of greenlets.
    from socket import AF_UNIX, SOCK_SEQPACKET, socketpair

    if _channel is None:
        raise NoPools("this process has no pools: set dirty_apps and dirty_workers, or pools")
    sock, other = socketpair(AF_UNIX, SOCK_SEQPACKET)
    try:
        _channel.sendmsg([b"\0"], [rights(other.fileno())])
    except OSError as e:
        sock.close()
        if e.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
            raise FrontGone("the server is ending") from None
        raise
    finally:
        other.close()
    return sock


class Connection:
    """One call at a time. It belongs to one thread, or task, at a time."""

    def __init__(self, sock: socket) -> None:
        self.sock = sock
        self.fileno = sock.fileno

    def is_usable(self) -> bool:
        """Reports whether the front still has its end, and has nothing left to say."""
        from socket import MSG_PEEK

        self.sock.settimeout(0)
        try:
            self.sock.recv(1, MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def call(self, app: str, action: str, payload: Payload, timeout: Optional[float] = None) -> None:
        """Begins a call; timeout is in seconds, from now on. Raises ValueError for what cannot be
        sent, and FrontGone."""
        names = _name(app, "app"), _name(action, "action")
        limit = 0 if timeout is None else min(max(1, int(timeout * 1000)), MAX_MILLISECONDS)
        head = _CALL.pack(limit, len(names[0]), len(names[1])) + names[0] + names[1]
        self._send(POOL_CALL, head, payload)

    def stash(self, op: int, table: str, key: bytes = b"", value: bytes = b"") -> None:
        """Asks for something of the stash. Raises ValueError for what cannot be sent, and
        FrontGone."""
        name = _name(table, "table")
        if len(key) > MAX_STASH_KEY:
            raise ValueError("a key of the stash has at most %d bytes, this one has %d" % (MAX_STASH_KEY, len(key)))
        self._send(POOL_STASH, _STASH.pack(op, len(name), len(key)) + name + key, value)

    def _send(self, kind: int, head: bytes, payload: Payload) -> None:
        self.sock.settimeout(None)
        try:
            send(self.sock, kind, head, payload)
        except (BrokenPipeError, ConnectionResetError):
            raise FrontGone("the front has ended") from None

    def receive(self, timeout: Optional[float] = None) -> Tuple[int, Payload]:
        """Waits for the next message, so many seconds, and returns its kind and its payload. Raises
        TimeoutError (socket.timeout before Python 3.10) and FrontGone."""
        self.sock.settimeout(timeout)
        return receive(self.sock)[:2]

    def receive_now(self) -> Tuple[int, Payload]:
        """Returns the next message, or raises BlockingIOError."""
        self.sock.settimeout(0)
        return receive(self.sock)[:2]

    def release(self) -> None:
        """Gives the connection back, after the last message of its call."""
        if len(_free) < _MAX_FREE and _channel is not None:
            _free.append(self)
        else:
            self.close()

    def close(self) -> None:
        """Ends the connection, and with it a call that runs."""
        from socket import SHUT_RDWR

        try:
            self.sock.shutdown(SHUT_RDWR)  # a fork may still have it
        except OSError:
            pass
        self.sock.close()


def _name(text: str, what: str) -> bytes:
    name = text.encode("utf-8")  # UnicodeEncodeError is a ValueError
    if len(name) > MAX_POOL_NAME:
        raise ValueError("the name of the %s has %d bytes, of at most %d" % (what, len(name), MAX_POOL_NAME))
    return name


def send(sock: socket, kind: int, head: bytes, payload: Payload) -> None:
    """Sends a message. Raises ValueError if the payload is too large."""
    size = len(payload)
    if size > MAX_POOL_PAYLOAD:
        raise ValueError("a value of %d bytes is too large: the limit is %d" % (size, MAX_POOL_PAYLOAD))
    if size <= MAX_POOL_INLINE:
        sock.sendall(b"".join((HEAD.pack(kind, 0, size), head, payload)))
        return
    fd = memory_file(payload)
    try:
        sock.sendmsg([HEAD.pack(kind, IN_FILE, size), head], [rights(fd)])
    finally:
        os.close(fd)


def receive(sock: socket) -> Tuple[int, Payload, bytes]:
    """Returns the next message: kind, payload, and all of it but the payload's file. The payload is
    a view of memory where it came in a file."""
    from socket import CMSG_SPACE

    try:
        data, ancillary, _, _ = sock.recvmsg(MAX_POOL_MESSAGE, CMSG_SPACE(4), RECEIVE_FLAGS)
    except ConnectionResetError:
        data, ancillary = b"", []
    if not data:
        raise FrontGone("the front has ended the call")
    kind, flags, size = HEAD.unpack_from(data)
    fds = descriptors(ancillary)
    if not flags & IN_FILE:
        close_all(fds)
        return kind, memoryview(data)[HEAD.size :], data
    if not fds:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    try:
        return kind, memoryview(mmap.mmap(fds[0], size, prot=mmap.PROT_READ)), data
    finally:
        close_all(fds)


def memory_file(payload: Payload) -> int:
    """Returns the descriptor of a memory file with the payload, which nobody can change."""
    fd = _memfd_create()
    try:
        rest = memoryview(payload)
        while rest:
            rest = rest[os.write(fd, rest) :]
        _seal(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _seal(fd: int) -> None:
    """Forbids changes. The kernel may hold a page of the file on a busy machine: fcntl(2) waits for
    that, some 160 ms, and then says EBUSY."""
    tries = _SEAL_TRIES
    while True:
        try:
            fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
            return
        except OSError as e:
            tries -= 1
            if e.errno != errno.EBUSY or tries == 0:
                raise


def _memfd_create() -> int:
    create = getattr(os, "memfd_create", None)
    if create is not None:
        fd: int = create("indrik-payload", _MFD_CLOEXEC_ALLOW_SEALING)
        return fd
    # PyPy before 7.3.17 has none.
    ctypes = stdlib.load("ctypes")
    fd = ctypes.CDLL(None, use_errno=True).memfd_create(b"indrik-payload", _MFD_CLOEXEC_ALLOW_SEALING)
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fd
