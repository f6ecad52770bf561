"""Messages and shared memory: docs/protocol.md says what they mean."""

import errno
import json
import mmap
import os
import struct

# Taken at import time: an app that monkey-patches the module (gevent) must not
# change what the slots block on.
from socket import (
    CMSG_SPACE,
    MSG_CTRUNC,
    MSG_DONTWAIT,
    SCM_RIGHTS,
    SOL_SOCKET,
    getdefaulttimeout,
    setdefaulttimeout,
    socket,
)

try:
    from socket import MSG_CMSG_CLOEXEC
except ImportError:  # not Linux
    MSG_CMSG_CLOEXEC = 0

MAX_MESSAGE = 128 << 10
MAX_DESCRIPTORS = 200

# The size of text that can grow without bound, in bytes of a message, so that this
# holds the rest too.
MAX_TEXT = 48 << 10

# The layout of a board, in 64-bit words.
BOARD_PROMOTED = 0
BOARD_FRONT = 1
BOARD_PING = 2
BOARD_LAG = 3
BOARD_MOST_LAG = 4
BOARD_RELOADED = 5
BOARD_END = 6
BOARD_REVOCATIONS = 7
BOARD_RING = 8
RING_SIZE = 64
BOARD_FIRST = BOARD_RING + RING_SIZE
BOARD_STRIDE = 8
BOARD_CLAIM = 0  # of a slot's words: two of them, of which the second is the id
BOARD_CLAIMED = 1
BOARD_GONE = 2
BOARD_DEADLINE = 3
BOARD_SHELVED = 4
BOARD_TRAY = 5
CLAIM_SIZE = 16
SHELF_SIZE = 64 << 10
TRAY_SIZE = 1 << 20

# The layout of a segment of a store, in bytes: words, and the blocks they belong to.
STORE_HEAD = 4096
STORE_BLOCK = 128 << 10

# The kinds of events that a front sends to workers which do not read the queue.
REQUEST, UPLOAD, BODY, GONE, GRANT, PING, RESET, MESSAGE, CLOSED, LATE, TRAY = range(11)

# How many bits of an id count; those above are the front's number.
ID_BITS = 24


def adopt(fd, keep_inheritable=False):
    """Returns a blocking socket that owns fd."""
    timeout = getdefaulttimeout()
    # With a default timeout, which is the app's to set, the new object would
    # make the descriptor non-blocking, and with it that of every other worker.
    setdefaulttimeout(None)
    try:
        sock = socket(fileno=fd)
    finally:
        setdefaulttimeout(timeout)
    if not keep_inheritable:
        os.set_inheritable(fd, False)
    return sock


def pid_of(credentials):
    """Returns the pid in what the kernel says of the other end of a socket (unix(7),
    SO_PEERCRED)."""
    return struct.unpack("3i", credentials)[0]


def descriptors(ancillary):
    """Returns the descriptors in the control data of a message."""
    fds = []
    for level, kind, data in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            usable = len(data) - len(data) % 4
            fds.extend(memoryview(data[:usable]).cast("i").tolist())
    if not MSG_CMSG_CLOEXEC:
        for fd in fds:
            os.set_inheritable(fd, False)
    return fds


def take(fds):
    """Takes the next descriptor of a message. The kernel leaves out those for which the
    process has no room (recvmsg(2), MSG_CTRUNC)."""
    if not fds:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return fds.pop(0)


def rights(fd):
    """Returns control data that sends a descriptor."""
    return SOL_SOCKET, SCM_RIGHTS, struct.pack("i", fd)


def close_all(fds):
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass


def words(fd):
    """Maps a memory file as 64-bit words. Takes fd over."""
    try:
        return memoryview(mmap.mmap(fd, 0)).cast("Q")
    finally:
        os.close(fd)


def claim_of(index):
    """Returns where on the mapped file of a board the claim of a slot is, as a slice."""
    at = 8 * (BOARD_FIRST + BOARD_STRIDE * index + BOARD_CLAIM)
    return slice(at, at + CLAIM_SIZE)


def buffer():
    """Returns what messages are received into. Only what was once written to is in
    memory, of a slot whose requests are small a single page."""
    return mmap.mmap(-1, MAX_MESSAGE + 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


class Revocations:
    """The requests that the front has taken back, as one slot knows them."""

    def __init__(self, board):
        self.board = board
        self.look()

    def look(self):
        # The number first: entries that come in between do no harm.
        self.seen = self.board[BOARD_REVOCATIONS]
        self.ids = frozenset(self.board[BOARD_RING : BOARD_RING + RING_SIZE].tolist())

    def include(self, number):
        """Tells whether a request that the slot has claimed is not to be run.

        The claim comes before this look: the front revokes first and looks at
        the claims 2 ms later, which is longer than a processor holds back a
        store. When there were so many new ones that the list may have lost this
        one, it is taken for revoked: not to run a request is safe, the front
        gives it to another slot."""
        if self.board[BOARD_REVOCATIONS] != self.seen:
            before = self.seen
            self.look()
            if self.seen - before >= RING_SIZE:
                return True
        return number in self.ids


class Shelf:
    """What one slot has answered and not sent yet, so that several answers go in
    one message. It is in memory that the front reads if this process dies, or is
    busy for long with the next request: no answer that was made is lost."""

    def __init__(self, board, index, send):
        self.cells = board
        self.word = BOARD_FIRST + BOARD_STRIDE * index + BOARD_SHELVED
        self.memory = _part(board, index)[:SHELF_SIZE]
        self.send = send

    def put(self, data):
        at = self.cells[self.word]
        end = at + len(data)
        if end > SHELF_SIZE:
            self.flush()
            at, end = 0, len(data)
            if end > SHELF_SIZE:
                self.send(data)
                return
        self.memory[at:end] = data
        self.cells[self.word] = end

    def flush(self):
        size = self.cells[self.word]
        if size:
            self.send(self.memory[:size])
            self.cells[self.word] = 0


class Tray:
    """Where one slot puts a large part of a response for the front to read, which is
    cheaper than to send it."""

    def __init__(self, board, index):
        self.cells = board
        self.word = BOARD_FIRST + BOARD_STRIDE * index + BOARD_TRAY
        self.memory = _part(board, index)[SHELF_SIZE:]

    def is_free(self):
        """Tells whether the front has read what was put there last."""
        return not self.cells[self.word]

    def put(self, number, data):
        """Puts data there, and tells whether it did: not if the tray is not free. A
        message of that request that says how much it is must follow."""
        if not self.is_free():
            return False
        self.memory[: len(data)] = data
        self.cells[self.word] = number
        return True

    def clear(self):
        self.cells[self.word] = 0


def _part(board, index):
    """Returns the shelf and the tray of a slot, which are at the end of a board."""
    whole = memoryview(board.obj)
    size = SHELF_SIZE + TRAY_SIZE
    end = len(whole) - index * size
    return whole[end - size : end]


def size(value):
    """Returns how many bytes a value takes in a message. Of one character these are up
    to twelve."""
    return len(json.dumps(value))


def clip(text):
    """Cuts text in the middle so that it fits a message."""
    clipped, half = text, MAX_TEXT // 2
    while size(clipped) > MAX_TEXT:
        clipped = text[:half] + "\n[...]\n" + text[-half:]
        half = half * 7 // 8
    return clipped


class Control:
    """The channel to the master that a spawner has, or a worker, which only sends."""

    def __init__(self, fd):
        self.sock = adopt(fd)
        self.fileno = self.sock.fileno

    def receive(self):
        """Returns the next message and its descriptors; None once the master
        is gone; raises BlockingIOError if there is no message."""
        try:
            data, ancillary, flags, _ = self.sock.recvmsg(
                MAX_MESSAGE, CMSG_SPACE(4 * MAX_DESCRIPTORS), MSG_DONTWAIT | MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            return None
        if not data:
            return None
        message, fds = json.loads(data), descriptors(ancillary)
        if flags & MSG_CTRUNC:
            # There was no room for all of them in this process.
            close_all(fds)
            message["truncated"], fds = True, []
        return message, fds

    def send(self, what, **fields):
        fields["type"] = what
        try:
            self.sock.send(json.dumps(fields).encode())
        except (BrokenPipeError, ConnectionResetError):
            pass  # the master is gone, which the next receive tells
