"""The messages of an ASGI worker to the front. The loop never waits to send one: messages
that the kernel does not take at once are sent later.
"""

from __future__ import annotations

import os
from collections import deque

from .protocol import MAX_MESSAGE
from .wire import close_all, rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from socket import socket
    from typing import Deque, List, Optional, Tuple

    from .glogging import Logger


class SendQueue:
    """The messages to the front. The queue is corked while messages of the front are handled:
    all replies of that turn of the loop go out together."""

    loop: AbstractEventLoop  # not before the first message

    def __init__(self, sock: socket, log: Logger) -> None:
        self.sock = sock
        self.log = log
        self.corked = False
        self.out: List[bytes] = []  # messages that are kept while it is corked
        self.size = 0  # of these
        self.backlog: Deque[Tuple[bytes, Optional[int]]] = deque()  # the kernel did not take these; with a descriptor
        self.drain_waiters: List[Future[None]] = []
        self.lost = False  # the front cannot be reached

    def put(self, data: bytes) -> None:
        """Sends a message, or keeps it for a moment to send it with others."""
        if self.corked:
            if self.size + len(data) > MAX_MESSAGE:
                self.flush()
            self.out.append(data)
            self.size += len(data)
        else:
            self.write(data)

    def put_file(self, data: bytes, fd: int) -> None:
        """Sends a message with a descriptor, which stays the caller's."""
        self.flush()
        self.write(data, fd)

    def uncork(self) -> None:
        self.corked = False
        self.flush()

    def flush(self) -> None:
        out = self.out
        if out:
            data = out[0] if len(out) == 1 else b"".join(out)
            self.out = []
            self.size = 0
            self.write(data)

    def write(self, data: bytes, fd: Optional[int] = None) -> None:
        if self.lost:
            return
        if not self.backlog:
            try:
                self._send(data, fd)
                return
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as e:
                self._unreachable(e)
                return
            self.loop.add_writer(self.sock, self._drain)
        self.backlog.append((data, None if fd is None else os.dup(fd)))

    def _send(self, data: bytes, fd: Optional[int]) -> None:
        if fd is None:
            self.sock.send(data)
        else:
            self.sock.sendmsg([data], [rights(fd)])

    def _unreachable(self, error: OSError) -> None:
        self.log.debug("A message to the front was not sent: %s", error)

    def _drain(self) -> None:
        while self.backlog:
            data, fd = self.backlog[0]
            try:
                self._send(data, fd)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as e:
                self._unreachable(e)
            self.backlog.popleft()
            if fd is not None:
                close_all([fd])
        self.loop.remove_writer(self.sock)
        waiters, self.drain_waiters = self.drain_waiters, []
        for future in waiters:
            if not future.done():
                future.set_result(None)

    async def await_drain(self) -> None:
        """Waits until the kernel has taken the backlog."""
        if self.backlog:
            future = self.loop.create_future()
            self.drain_waiters.append(future)
            await future
