"""A front in Python for calls of pools, with the encoding of the real one."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import unittest
from typing import Any, Callable, List, Optional, Tuple
from unittest import mock

from indrik import callconn
from indrik.pools import tlv

from .messages import LIMIT, receive


class Peer:
    """The front's end of one call connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(LIMIT)
        self.sock = sock

    def call(self) -> Tuple[str, str, Any, float]:
        """Returns the next call: app, action, arguments, time limit in seconds."""
        kind, payload, data = callconn.receive(self.sock)
        assert kind == 1, kind
        timeout, app, action = struct.unpack_from(">IHH", data, 10)
        names, rest = data[18 : 18 + app + action], data[18 + app + action :]
        return names[:app].decode(), names[app:].decode(), tlv.decode(rest or payload), timeout / 1000

    def stash(self) -> Tuple[int, str, bytes, bytes]:
        """Returns the next operation of the stash: its number, table, key and value."""
        data = self.sock.recv(1 << 18)
        kind, flags, size, op, table, key = struct.unpack_from(">BBQBHH", data)
        assert (kind, flags) == (16, 0), (kind, flags)
        rest = data[15:]
        assert len(rest) == table + key + size
        return op, rest[:table].decode(), rest[table : table + key], rest[table + key :]

    def send(self, kind: int, value: object = None) -> None:
        callconn.send(self.sock, kind, b"", b"" if kind == callconn.END else tlv.encode(value))

    def fail(self, name: str, message: str = "it failed", **details: object) -> None:
        self.send(callconn.ERROR, {"error_type": name, "message": message, "details": details})

    def closed(self) -> bool:
        """Waits until the caller has closed the connection."""
        try:
            return self.sock.recv(1 << 18) == b""
        except ConnectionResetError:
            return True


class PoolsTest(unittest.TestCase):
    """A test in which this process has pools, whose front it is."""

    def setUp(self) -> None:
        self.released = 0
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sockets = contextlib.ExitStack()
        self.addCleanup(self._sockets.close)
        self._sockets.callback(ours.close)
        self._sockets.callback(theirs.close)
        theirs.settimeout(LIMIT)
        self.channel = theirs

        def release(connection: callconn.Connection) -> None:
            self.released += 1
            connection.close()

        for patch in (
            mock.patch.object(callconn, "_channel", ours),
            mock.patch.object(callconn.Connection, "release", release),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def peer(self) -> Peer:
        """Returns the front's end of the next connection that is opened."""
        _, fds = receive(self.channel)
        sock = socket.socket(fileno=fds[0])
        self._sockets.callback(sock.close)
        return Peer(sock)

    def none_opened(self) -> bool:
        return not select.select([self.channel], [], [], 0)[0]

    def front(self, act: Callable[[Peer], object]) -> Callable[[], None]:
        """Runs act as the front, in a thread, with the next connection."""
        failures: List[BaseException] = []

        def run() -> None:
            try:
                act(self.peer())
            except BaseException as e:
                failures.append(e)

        thread = threading.Thread(target=run)
        thread.start()

        def join() -> None:
            thread.join(LIMIT)
            self.assertFalse(thread.is_alive())
            for e in failures:
                raise e

        self.addCleanup(join)
        return join


class Call:
    """The call that Apps.run runs: it keeps what is sent, and can be cancelled."""

    def __init__(self, room: Optional[int] = None) -> None:
        self.sent: List[Tuple[int, bytes]] = []
        self.changed = threading.Condition()
        self.room = room  # parts after which the caller reads no more
        self._readable, self._cancel = socket.socketpair()

    def emit(self, kind: int, payload: bytes) -> None:
        with self.changed:
            self.sent.append((kind, payload))
            self.changed.notify_all()
            if self.room is not None and len(self.sent) >= self.room:
                self.changed.wait_for(self.cancelled, LIMIT)
            if self.cancelled():
                raise callconn.Cancelled

    def cancelled(self) -> bool:
        return bool(select.select([self._readable], [], [], 0)[0])

    def fileno(self) -> int:
        return self._readable.fileno()

    def cancel(self) -> None:
        self._cancel.send(b"x")
        with self.changed:
            self.changed.notify_all()

    def renew(self) -> None:
        """Makes it one that is not cancelled."""
        self._readable.recv(100)

    def wait(self, parts: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.sent) >= parts, LIMIT)

    def close(self) -> None:
        self._readable.close()
        self._cancel.close()

    def kinds(self) -> List[int]:
        return [kind for kind, _ in self.sent]

    def values(self) -> List[Any]:
        return [tlv.decode(payload) if payload else None for _, payload in self.sent]
