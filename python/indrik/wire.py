"""Messages and shared memory, as docs/protocol.md describes them."""

from __future__ import annotations

import errno
import json
import mmap
import os
import struct

# Taken at import time: an app that monkey-patches the module (gevent) must not
# change the calls in which slots wait.
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

from .protocol import (
    CLAIM_SIZE,
    JOURNAL_SIZE,
    MAX_DESCRIPTORS,
    MAX_MESSAGE,
    MAX_REVOKED,
    RESPONSE_ARENA_SIZE,
    RESPONSE_BUFFER_SIZE,
    SCOREBOARD_ARENA,
    SCOREBOARD_BUFFER,
    SCOREBOARD_FIRST,
    SCOREBOARD_JOURNALED,
    SCOREBOARD_PART,
    SCOREBOARD_REVOCATION_RING,
    SCOREBOARD_REVOCATIONS,
    SCOREBOARD_STRIDE,
    SCOREBOARD_TOKEN,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

    Ancillary = Sequence[Tuple[int, int, bytes]]
    Scoreboard = memoryview[int]
    Data = Union[bytes, memoryview[int]]

try:
    from socket import MSG_CMSG_CLOEXEC
except ImportError:  # not Linux
    MSG_CMSG_CLOEXEC = 0  # type: ignore[misc, assignment]

# A flag of preadv(2): what is not in the page cache is not read.
RWF_NOWAIT = getattr(os, "RWF_NOWAIT", 0) if hasattr(os, "preadv") else 0

# The flags of a receive, and the room for the descriptors of a request: that of its environ
# or scope, and that of its body, at most.
RECEIVE_FLAGS = MSG_CMSG_CLOEXEC
ANCILLARY_SIZE = CMSG_SPACE(2 * 4)

# The version of the marshal format that the front reads.
FORMAT = 2

# The size of a text that can grow without bound, in bytes of a message, so that the rest
# of the message fits too.
MAX_TEXT = 48 << 10

# Smaller bodies, in bytes, go in their message: that costs less than to put them elsewhere.
MIN_PLACED = 4 << 10

# Larger files, in bytes, are sent from where they are: by a descriptor that the front gets.
MAX_READ = 16 << 10

# Larger parts of a body, in bytes, go by the response buffer if that is free: it takes two
# copies less.
MAX_COPIED = 64 << 10

# The largest part of a body that goes in a message while the response buffer is not free.
MAX_CHUNK = 120 << 10


class FrontGone(Exception):
    """The front cannot be reached: there is nobody to serve."""


class ClientGone(BrokenPipeError):
    """The client has closed the connection."""


class Late(BaseException):
    """The time of the request is over, and its client was answered. It is raised
    wherever the app happens to be, to clean up."""


def adopt(fd: int, keep_inheritable: bool = False) -> socket:
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


def pid_of(credentials: bytes) -> int:
    """Returns the pid of the other end of a socket, from the option SO_PEERCRED (unix(7))."""
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def descriptors(ancillary: Ancillary) -> List[int]:
    """Returns the descriptors in the control data of a message."""
    fds: List[int] = []
    for level, kind, data in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            usable = len(data) - len(data) % 4
            fds.extend(memoryview(data[:usable]).cast("i").tolist())
    if not MSG_CMSG_CLOEXEC:
        for fd in fds:
            os.set_inheritable(fd, False)
    return fds


def take(fds: List[int]) -> int:
    """Takes the next descriptor of a message. The kernel leaves out those for which the
    process has no room (recvmsg(2), MSG_CTRUNC)."""
    if not fds:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return fds.pop(0)


def rights(fd: int) -> Tuple[int, int, bytes]:
    """Returns control data that sends a descriptor."""
    return SOL_SOCKET, SCM_RIGHTS, struct.pack("i", fd)


def close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass


def map_words(fd: int) -> Scoreboard:
    """Maps a memory file as 64-bit words. Takes fd over."""
    try:
        return memoryview(mmap.mmap(fd, 0)).cast("Q")
    finally:
        os.close(fd)


def slot_word(index: int, word: int) -> int:
    """Returns the number of a word that slot index has on its worker's scoreboard; word is
    its number among those of the slot."""
    return SCOREBOARD_FIRST + SCOREBOARD_STRIDE * index + word


def claim_slice(index: int) -> slice:
    """Returns where the claim of a slot stands in the mapped file of a scoreboard: the
    token and the id, next to each other."""
    at = 8 * slot_word(index, SCOREBOARD_TOKEN)
    return slice(at, at + CLAIM_SIZE)


def receive_buffer() -> mmap.mmap:
    """Returns memory to receive messages into. Only pages that were written to exist: a
    slot whose requests are small has a single one."""
    return mmap.mmap(-1, MAX_MESSAGE + 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


class Revocations:
    """The requests that the front has taken back, as one slot knows them."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self.scoreboard = scoreboard
        self.lost = False
        self.refresh()
        self.since = self.seen

    def message_came(self) -> None:
        """Is called when the slot has received a message, before any request in it is claimed."""
        if self.lost:
            self.lost = False
            self.refresh()
        self.since = self.seen

    def refresh(self) -> None:
        """Reads the revocation ring again."""
        # The count first: entries that come in between do no harm.
        self.seen = self.scoreboard[SCOREBOARD_REVOCATIONS]
        ring = self.scoreboard[SCOREBOARD_REVOCATION_RING : SCOREBOARD_REVOCATION_RING + MAX_REVOKED]
        self.ids = frozenset(ring.tolist())

    def include(self, request_id: int) -> bool:
        """Reports whether a request that the slot has claimed is not to be run.

        The claim is written before the ring is read: the front revokes first and reads
        the claims 2 ms later, which is longer than a processor holds back a store. When
        there were so many revocations since the message came that the ring may have lost
        this one, the request is taken for revoked, and so is the rest of the message: not
        to run a request is safe, since the front gives it to another slot."""
        if self.scoreboard[SCOREBOARD_REVOCATIONS] != self.seen:
            if self.scoreboard[SCOREBOARD_REVOCATIONS] - self.since >= MAX_REVOKED:
                self.lost = True  # seen stays as it is, so that the rest of the message comes here
                return True
            self.refresh()
        return request_id in self.ids


class ReplyJournal:
    """The replies that one slot has made and not sent yet, so that several go in one
    message. The journal is in memory that the front reads if this process dies, or is
    busy for long with the next request: no reply that was made is lost."""

    def __init__(self, scoreboard: Scoreboard, index: int, send: Callable[[Data], object]) -> None:
        self.scoreboard = scoreboard
        self.word = slot_word(index, SCOREBOARD_JOURNALED)
        self.memory = _slot_memory(scoreboard, index)[:JOURNAL_SIZE]
        self.send = send

    def put(self, data: bytes) -> None:
        at = self.scoreboard[self.word]
        end = at + len(data)
        if end > JOURNAL_SIZE:
            self.flush()
            at, end = 0, len(data)
            if end > JOURNAL_SIZE:
                self.send(data)
                return
        self.memory[at:end] = data
        self.scoreboard[self.word] = end

    def flush(self) -> None:
        """Sends the replies in the journal."""
        size = self.scoreboard[self.word]
        if size:
            self.send(self.memory[:size])
            self.scoreboard[self.word] = 0


class ResponseBuffer:
    """Memory where one slot puts a large part of a response for the front to read, which
    is cheaper than to send it."""

    def __init__(self, scoreboard: Scoreboard, index: int) -> None:
        self.scoreboard = scoreboard
        self.word = slot_word(index, SCOREBOARD_BUFFER)
        self.memory = _slot_memory(scoreboard, index)[JOURNAL_SIZE : JOURNAL_SIZE + RESPONSE_BUFFER_SIZE]

    def is_free(self) -> bool:
        """Reports whether the front has read the last part."""
        return not self.scoreboard[self.word]

    def put(self, request_id: int, data: Data) -> bool:
        """Puts data there, and returns False if the buffer is not free. A message of that
        request that says how many bytes it is must follow."""
        if not self.is_free():
            return False
        self.memory[: len(data)] = data
        self.scoreboard[self.word] = request_id
        return True

    def clear(self) -> None:
        self.scoreboard[self.word] = 0


class ResponseArena:
    """Memory where one slot puts bodies of responses for the front to read, one behind the
    other. All of it is free again when the front has read the last one."""

    def __init__(self, scoreboard: Scoreboard, index: int) -> None:
        self.scoreboard = scoreboard
        self.word = slot_word(index, SCOREBOARD_ARENA)
        self.memory = _slot_memory(scoreboard, index)[JOURNAL_SIZE + RESPONSE_BUFFER_SIZE :]
        self.end = 0  # of what was put there last

    def place(self, request_id: int, body: Data) -> Union[Data, Tuple[int, int]]:
        """Puts a body there, and returns its place for a message of that request, which must be
        the next one that the slot makes; if there is no room, the body itself."""
        at = self.end if self.scoreboard[self.word] else 0
        end = at + len(body)
        if end > RESPONSE_ARENA_SIZE:
            return body
        self.memory[at:end] = body
        self.end = end
        self.scoreboard[self.word] = request_id << 32 | end
        return at, len(body)

    def has_room(self, size: int) -> bool:
        """Reports whether so many bytes have a place there."""
        return size <= RESPONSE_ARENA_SIZE - (self.end if self.scoreboard[self.word] else 0)

    def read(self, request_id: int, fd: int, offset: int, size: int) -> Optional[Tuple[int, int]]:
        """Is place() for a part of a file. None: there is no room, or the disk would have to be
        waited for."""
        at = self.end if self.scoreboard[self.word] else 0
        end = at + size
        if end > RESPONSE_ARENA_SIZE or not RWF_NOWAIT:
            return None
        try:
            if os.preadv(fd, [self.memory[at:end]], offset, RWF_NOWAIT) != size:
                return None
        except OSError:
            return None
        self.end = end
        self.scoreboard[self.word] = request_id << 32 | end
        return at, size

    def disarm(self) -> None:
        """Takes the arena from a fork of this process."""
        vars(self).update(place=lambda request_id, body: body, read=lambda *args: None)


def _slot_memory(scoreboard: Scoreboard, index: int) -> memoryview[int]:
    """Returns the reply journal, the response buffer and the response arena of a slot, which
    are at the end of a scoreboard."""
    whole: memoryview[int] = memoryview(scoreboard.obj)
    end = len(whole) - index * SCOREBOARD_PART
    return whole[end - SCOREBOARD_PART : end]


def json_size(value: object) -> int:
    """Returns how many bytes a value takes in a control message: up to twelve for one
    character of a text."""
    return len(json.dumps(value))


def clip(text: str) -> str:
    """Cuts text in the middle so that it fits a message."""
    clipped, half = text, MAX_TEXT // 2
    while json_size(clipped) > MAX_TEXT:
        clipped = text[:half] + "\n[...]\n" + text[-half:]
        half = half * 7 // 8
    return clipped


class Control:
    """The channel to the master that a spawner has, or a worker, which only sends."""

    def __init__(self, fd: int) -> None:
        self.sock = adopt(fd)
        self.fileno = self.sock.fileno

    def receive(self) -> Optional[Tuple[Dict[str, Any], List[int]]]:
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

    def send(self, message_type: str, **fields: Any) -> None:
        fields["type"] = message_type
        try:
            self.sock.send(json.dumps(fields).encode())
        except (BrokenPipeError, ConnectionResetError):
            pass  # the master is gone, which the next receive tells
