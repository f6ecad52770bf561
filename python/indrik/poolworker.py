"""A worker of a pool: the life of one process that hosts apps for others to call.

It is made in the spawner of the pools, where hooks see it, and lives in a process of its own
from the fork on. Each of its slots is a thread that runs one call at a time; the main thread
waits for the end.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
from select import POLLERR, POLLHUP, POLLIN, POLLOUT, poll
from socket import MSG_DONTWAIT, MSG_PEEK

from . import appmetrics, callconn, hooks, log, oslevel, privileges, title, wire
from .forks import ForkGuard
from .protocol import MAX_POOL_INLINE, POOL_CALL, POOL_CHUNK, POOL_END, POOL_HELLO, POOL_READY
from .view import Heartbeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket
    from types import FrameType
    from typing import Any, Dict, List, Optional

    from .callconn import Payload
    from .pools.running import Apps
    from .poolspawning import Arbiter
    from .view import Server

BOOT_ERROR = 3  # an exception before the worker was ready, as of other workers

_CALL = struct.Struct(">IHH")

# What the report of a worker that cannot boot begins with, in the dump file, and its size.
_BOOT_REPORT = "Worker failed to boot:\n"
_REPORT_LIMIT = 8 << 10

# For so many seconds a worker looks whether a large part has been read, before it looks again.
_LOOK = 0.001, 0.02

_SIOCOUTQ = 0x5411  # sockios(7): how much of what was sent has not been read


class PoolWorker:
    """What hooks of dirty workers get as `worker`."""

    # Set in the process of the worker, by attach.
    slots: List[socket]
    forks: ForkGuard
    _channel: wire.Control
    _dump: int

    def __init__(
        self, age: int, arbiter: Arbiter, server: Server, pool: str, apps: List[str], environment: Dict[str, str]
    ) -> None:
        self.age = age
        self.cfg = arbiter.cfg
        self.log = arbiter.log
        self.server = server
        self.pool = pool
        self.app_paths = apps
        self.ppid = arbiter.pid
        self.pid: Any = "[booting]"
        self.booted = False
        self.aborted = False
        self.alive = True
        self.tmp = Heartbeat()
        self.apps: Dict[str, Any] = {}
        self.kind = "dirty worker" if pool == "dirty" else "worker of the pool %s" % pool
        self._arbiter = arbiter
        self._environment = environment
        self._hosted: Optional[Apps] = None
        self._wake = -1  # a pipe that gets a byte for each signal, and when a slot has ended
        self._asked = False  # the master was asked to let this worker end

    def __str__(self) -> str:
        return "<DirtyWorker %s>" % self.pid

    def notify(self) -> None:
        """Gunicorn's heartbeat. Nothing depends on it here."""
        self.tmp.notify()

    def attach(self, dump: int, channel: int, calls: int, *slots: int) -> None:
        """Takes over the descriptors that belong to this worker alone, in its process."""
        self.pid = os.getpid()
        self._dump = dump
        self._channel = wire.Control(channel)
        callconn.attach(calls)
        self.slots = [wire.adopt(fd) for fd in slots]
        self.forks = ForkGuard(self)
        self.forks.add(self._disarm)

    def _disarm(self) -> None:
        """Takes the worker's things from a fork of this process."""
        self._channel.sock.close()
        wire.close_all([self._dump])
        for sock in self.slots:
            sock.close()

    def main(self) -> None:
        """Runs the worker, and ends its process."""
        code = 1
        try:
            code = self._life()
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 1
        except BaseException as e:
            self.log.exception("Exception in dirty worker process")
            self._report(e)
            code = 1 if self.booted else BOOT_ERROR
        finally:
            log.flush()
            os._exit(code)

    def _report(self, exception: BaseException) -> None:
        """Writes the exception to the dump file: the master shows it to an operator who waits for a
        reload, and to callers of the apps."""
        if not self.booted:
            report = _BOOT_REPORT + log.app_traceback(exception)
            os.write(self._dump, report[:_REPORT_LIMIT].encode("utf-8", "backslashreplace"))

    def _life(self) -> int:
        title.prepare()
        name = "dirty-worker [%s]" if self.pool == "dirty" else "pool-worker " + self.pool + " [%s]"
        title.set("indrik: " + name % self.server.proc_name)
        os.environ.update(self._environment)
        privileges.become(self.cfg)
        appmetrics.use(self._arbiter.metrics)
        random = sys.modules.get("random")
        if random:
            random.seed()
        reader = self._listen()
        from .pools.running import Apps  # only here: asyncio is large

        with self.forks:
            self._hosted = Apps(self.log)
            self._hosted.load(self.app_paths)
            self.apps = self._hosted.apps
            self.cfg.dirty_worker_init(self)
        self.booted = True
        self._channel.send("ready")
        self._serve(reader)
        with self.forks:
            self._hosted.close()
        self.log.info("Dirty worker %s exiting", self.pid)
        return 0

    def _listen(self) -> int:
        """Directs signals here, and returns the end of a pipe that gets a byte for each."""
        oslevel.write_stacks_to(self._dump)
        reader, self._wake = os.pipe()
        for fd in (reader, self._wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for name in hooks.MASTER_SIGNALS:
            signal.signal(getattr(signal, name), hooks.nothing)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, self._on_quit)
        signal.signal(signal.SIGQUIT, self._on_quit)
        signal.signal(signal.SIGABRT, self._on_abort)
        signal.signal(signal.SIGUSR1, self._on_usr1)
        return reader

    def _on_term(self, number: int, frame: Optional[FrameType]) -> None:
        """Asks the master to let this worker finish its calls and end."""
        self.alive = False
        if not self.booted:
            os._exit(128 + number)
        if not self._asked:
            self._asked = True
            self._channel.send("recycle")

    def _on_quit(self, number: int, frame: Optional[FrameType]) -> None:
        """Ends this process at once, whatever its threads do."""
        self.alive = False
        log.flush()
        os._exit(0 if self.booted else 128 + number)

    def _on_abort(self, number: int, frame: Optional[FrameType]) -> None:
        self.aborted, self.alive = True, False
        log.flush()
        os._exit(1)

    def _on_usr1(self, number: int, frame: Optional[FrameType]) -> None:
        self.log.reopen_files()

    def _serve(self, reader: int) -> None:
        """Serves until all slots have ended, as the front or the end of the server wants it."""
        left = set(self.slots)
        for index, sock in enumerate(self.slots):
            name = "dirty-worker-%s-_%d" % (self.pid, index)
            threading.Thread(target=self._serve_slot, args=(sock, left), name=name, daemon=True).start()
        waits = poll()
        waits.register(reader, POLLIN)
        waits.register(self._channel, POLLHUP | POLLERR)
        grace: Optional[int] = None
        while left:
            ready = [fd for fd, _ in waits.poll(grace)]
            if not ready and grace is not None:
                return  # a call has not finished in that time
            try:
                os.read(reader, 4096)
            except BlockingIOError:
                pass
            if self._channel.fileno() in ready:
                # The master is gone, and with it the front: nobody waits for a call.
                waits.unregister(self._channel)
                self.alive = False
                grace = 1000 * int(self.cfg.get("dirty_graceful_timeout"))

    def _serve_slot(self, sock: socket, left: Any) -> None:
        """Is the thread of one slot."""
        try:
            with self.forks:
                slot = Slot(sock)
                while True:
                    message = slot.receive()
                    if message is None:
                        break
                    kind, payload, data = message
                    if kind == POOL_HELLO:
                        slot.send(POOL_READY, payload)
                    elif kind == POOL_CALL:
                        self._run(slot, payload, data)
        except BaseException:
            self.log.exception("Exception in a slot of the dirty worker")
        finally:
            if not self.forks.forked:
                left.discard(sock)
                sock.close()
                try:
                    os.write(self._wake, b"\0")
                except BlockingIOError:
                    pass

    def _run(self, slot: Slot, payload: Payload, data: bytes) -> None:
        in_file = callconn.HEAD.unpack_from(data)[1] & callconn.IN_FILE
        at = callconn.HEAD.size
        _, app_length, action_length = _CALL.unpack_from(data, at)
        at += _CALL.size
        app = data[at : at + app_length].decode()
        at += app_length
        action = data[at : at + action_length].decode()
        if not in_file:
            payload = memoryview(data)[at + action_length :]
        slot.ended = False
        assert self._hosted is not None
        self._hosted.run(app, action, payload, slot)
        slot.finish()


class Slot:
    """The front's end of the call that a thread runs."""

    def __init__(self, sock: socket) -> None:
        self.sock = sock
        self.fileno = sock.fileno
        self.ended = True  # the end of the call was said

    def receive(self) -> Any:
        """Returns the next message of the front; None at the end."""
        try:
            return callconn.receive(self.sock)
        except (callconn.FrontGone, ConnectionError):
            return None

    def send(self, kind: int, payload: Payload) -> None:
        try:
            callconn.send(self.sock, kind, b"", payload)
        except (BrokenPipeError, ConnectionResetError):
            raise callconn.Cancelled from None

    def cancelled(self) -> bool:
        """Reports whether nobody waits for the call any more: the front has something to say, or is
        gone. Any thread may ask."""
        try:
            self.sock.recv(1, MSG_PEEK | MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def emit(self, kind: int, payload: Payload) -> None:
        """Sends a part, or the end, and waits while the caller does not read. Raises
        callconn.Cancelled, and ValueError for what is too large."""
        if kind != POOL_CHUNK:
            self.send(kind, payload)
            self.ended = True
            return
        self._wait(len(payload) > MAX_POOL_INLINE)
        self.send(kind, payload)

    def _wait(self, for_all: bool) -> None:
        """Waits until there is room, or until the front has read all. A socket has room for
        hundreds of messages, whatever is in the files that come along with them."""
        waits = poll()
        waits.register(self.sock, POLLIN | POLLOUT)
        pause = _LOOK[0]
        while True:
            if any(events & (POLLIN | POLLHUP | POLLERR) for _, events in waits.poll()):
                raise callconn.Cancelled
            if not for_all or not self._unread():
                return
            waits.modify(self.sock, POLLIN)
            if waits.poll(pause * 1000):
                raise callconn.Cancelled
            waits.modify(self.sock, POLLIN | POLLOUT)
            pause = min(2 * pause, _LOOK[1])

    def _unread(self) -> int:
        import fcntl

        unread: int = struct.unpack("i", fcntl.ioctl(self.sock, _SIOCOUTQ, b"\0" * 4))[0]
        return unread

    def finish(self) -> None:
        """Says the end of a call that was cancelled."""
        if not self.ended:
            self.ended = True
            try:
                self.send(POOL_END, b"")
            except callconn.Cancelled:
                pass
