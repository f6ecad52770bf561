"""What an ASGI worker says to the front. The loop never waits for that: what the kernel
does not take is sent when it does.
"""

import os
from collections import deque

from . import wire


class Outgoing:
    """The messages to the front. In the turn in which messages of the front are handled
    it is corked: what is said meanwhile goes out together."""

    def __init__(self, sock, log):
        self.sock = sock
        self.log = log
        self.loop = None  # not before the first message
        self.corked = False
        self.out = []  # what is kept, and its size
        self.size = 0
        self.backlog = deque()  # what the kernel did not take: data and perhaps a descriptor
        self.drained = []  # futures of who waits for that
        self.lost = False  # the front cannot be reached

    def put(self, data):
        """Sends a message, or keeps it for a moment to send it with others."""
        if self.corked:
            if self.size + len(data) > wire.MAX_MESSAGE:
                self.flush()
            self.out.append(data)
            self.size += len(data)
        else:
            self.write(data)

    def put_file(self, data, fd):
        """Sends a message with a descriptor, which stays the caller's."""
        self.flush()
        self.write(data, fd)

    def uncork(self):
        self.corked = False
        self.flush()

    def flush(self):
        out = self.out
        if out:
            data = out[0] if len(out) == 1 else b"".join(out)
            self.out = []
            self.size = 0
            self.write(data)

    def write(self, data, fd=None):
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

    def _send(self, data, fd):
        if fd is None:
            self.sock.send(data)
        else:
            self.sock.sendmsg([data], [wire.rights(fd)])

    def _unreachable(self, error):
        self.log.debug("A message to the front was not sent: %s", error)

    def _drain(self):
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
                wire.close_all([fd])
        self.loop.remove_writer(self.sock)
        drained, self.drained = self.drained, []
        for future in drained:
            if not future.done():
                future.set_result(None)

    async def room(self):
        """Waits until the kernel takes more."""
        if self.backlog:
            future = self.loop.create_future()
            self.drained.append(future)
            await future
