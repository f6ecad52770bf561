"""A template: a worker that serves no more, and forks other workers from the state that its
app has by then, so that they share the memory of it.

The master promotes a worker by a message that waits in its channel when it has finished its
last request. What it asks of it from then on is to fork; the rights of the template, and of
what it forks, are those of the worker that it was.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import stat
import sys
import threading
import time
from select import POLLIN, poll
from socket import AF_INET, AF_INET6, AF_UNIX, SO_TYPE, SOCK_STREAM, SOL_SOCKET

from . import hooks, log, title, wire
from .log import app_traceback
from .worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Dict, List, Optional

# The longest text that the master takes, in characters: none has more than four bytes.
_MAX_REASON = 1000

# How many threads and connections a refusal names.
_NAMED = 5

# How long threads that are about to end may take, and how often they are looked at, in seconds.
_MOMENT = 1.0
_PAUSE = 0.02


class Unfit(Exception):
    """A worker cannot become a template, for a reason that the master tells the operator."""


class Template:
    """Is made in the process of a worker that has served for the last time."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.generation = worker.generation
        self.channel = worker.channel
        self.wake = os.pipe()
        for fd in self.wake:
            os.set_blocking(fd, False)
        self.heard = False  # the master has asked for something
        self.ending = False
        self.early_slots: Dict[int, List[int]] = {}  # descriptors of slots that came before their worker, by age

    def prepare(self, queue: int) -> None:
        """Gets this process ready to fork; queue is the descriptor of the generation's queue.
        Raises Unfit."""
        worker = self.worker
        worker.forks.paused = True  # the forks are the server's own from now on
        self._listen()
        worker.close_slots()
        os.dup2(queue, self.generation.queue.fileno(), inheritable=False)
        os.close(queue)
        try:
            worker.cfg.after_refork(worker.server, worker.shown)
        except BaseException as e:
            raise Unfit("the hook after_refork raised:\n%s" % app_traceback(e)) from None
        threads = _other_threads(time.monotonic() + _MOMENT)
        if threads:
            raise Unfit("it has threads, which a fork would not have: %s. End them in after_refork" % threads)
        connections = _connections()
        if connections:
            raise Unfit(
                "it has connections, which it would share with the workers that it forks: %s. "
                "Close them in after_refork" % connections
            )
        title.set("indrik: template [%s]" % worker.server.proc_name)
        # What the app has made so far stays: the collector need not touch it, so that workers
        # go on sharing its pages.
        gc.collect()
        if hasattr(gc, "freeze"):
            gc.freeze()

    def _listen(self) -> None:
        """Directs signals here. TERM has come often until the worker had finished; one that came
        before the master asked for anything was that one."""
        for name in hooks.MASTER_SIGNALS:
            signal.signal(getattr(signal, name), hooks.nothing)
        for name in ("SIGTERM", "SIGINT", "SIGQUIT"):
            signal.signal(getattr(signal, name), self._on_end)
        signal.signal(signal.SIGUSR1, lambda number, frame: self.worker.log.reopen_files())
        signal.set_wakeup_fd(self.wake[1], warn_on_full_buffer=False)

    def _on_end(self, number: int, frame: Optional[FrameType]) -> None:
        if number != signal.SIGTERM or self.heard:
            self.ending = True

    def run(self) -> Optional[Worker]:
        """Forks what the master asks for, until its end. Returns None then; in a process that was
        forked, the worker that it is."""
        waits = poll()
        waits.register(self.channel, POLLIN)
        waits.register(self.wake[0], POLLIN)
        self.channel.send("promoted")
        while not self.ending:
            waits.poll()
            try:
                os.read(self.wake[0], 4096)
            except BlockingIOError:
                pass
            try:
                received = self.channel.receive()
            except BlockingIOError:
                continue
            if received is None:
                return None
            self.heard = True
            child = self._obey(*received)
            if child is not None:
                return child
        return None

    def _obey(self, message: Dict[str, Any], fds: List[int]) -> Optional[Worker]:
        age = message["age"]
        try:
            if message.get("truncated"):
                raise OSError(errno.EMFILE, "no descriptors are left in the template for a worker")
            if message["type"] == "slots":
                self.early_slots.setdefault(age, []).extend(fds)
                return None
            return self._spawn(age, message, fds)
        except OSError as e:
            self._fail(age, str(e), e.errno or 0)
        except BaseException as e:
            self._fail(age, app_traceback(e))
        wire.close_all(fds + self.early_slots.pop(age, []))
        return None

    def _fail(self, age: int, reason: str, number: int = 0) -> None:
        self.channel.send("failed", age=age, reason=reason[-_MAX_REASON:], errno=number)

    def _spawn(self, age: int, message: Dict[str, Any], fds: List[int]) -> Optional[Worker]:
        worker = self.worker
        server = worker.server
        server.update(message.get("server") or {})
        child = Worker(age, server, self.generation)
        child.has_rights = True
        child.warm_after = message.get("warm_after") or sys.maxsize
        worker.cfg.pre_fork(server, child)
        log.flush()
        if not self._fork():
            scoreboard, dump, channel, *slots = fds
            if message.get("calls"):
                from . import callconn  # few have pools

                callconn.attach(slots.pop(0))
            slots = self.early_slots.pop(age, []) + slots
            self._leave()
            child.attach(scoreboard, dump, channel, slots)
            child.channel.send("born")
            return child
        wire.close_all(fds + self.early_slots.pop(age, []))
        self.channel.send("forked", age=age)
        return None

    def _fork(self) -> bool:
        """Forks a process that is the master's child: the one in between ends at once, and the
        kernel gives its child to the master (PR_SET_CHILD_SUBREAPER). So the master learns by the
        kernel's word how the new worker ends. Returns False in the new process."""
        read, write = os.pipe()
        # Neither a signal nor the collector may have code of the app's run in between.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        collects = gc.isenabled()
        gc.disable()
        try:
            between = os.fork()
            if between == 0:
                _fork_and_end()
                # Here is the new process. It goes on once it has its parent.
                os.close(write)
                if not os.read(read, 1):
                    os._exit(0)  # the template is gone
                os.close(read)
                return False
            os.close(read)
            _, status = os.waitpid(between, 0)
            code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else errno.EAGAIN
            if code:
                raise OSError(code, "cannot fork a worker: %s" % os.strerror(code))
            os.write(write, b"\0")
            return True
        finally:
            try:
                os.close(write)
            except OSError:
                pass
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if collects:
                gc.enable()

    def _leave(self) -> None:
        """Closes, in a process that was just forked, what belongs to the template."""
        signal.set_wakeup_fd(-1)
        wire.close_all(self.wake)
        self.worker.close_channel()
        for fds in self.early_slots.values():
            wire.close_all(fds)


def _fork_and_end() -> None:
    """Returns in a new process, and ends this one."""
    code = 0
    try:
        if os.fork() == 0:
            return
    except OSError as e:
        code = min(e.errno or errno.EAGAIN, 255)
    os._exit(code)


def _other_threads(until: float) -> str:
    """Names the threads of this process besides this one; those that are about to end, such as
    the idle ones of a pool that is closed, have until then. Those of libraries are known to the
    kernel alone."""
    while True:
        names = [t.name for t in threading.enumerate() if t is not threading.current_thread()]
        try:
            unnamed = len(os.listdir("/proc/self/task")) - 1 - len(names)
        except OSError:
            unnamed = 0
        if unnamed > 0:
            names.append("%d of no Python code" % unnamed)
        if not names or time.monotonic() >= until:
            return _listed(names)
        time.sleep(_PAUSE)


def _connections() -> str:
    """Names the other ends of the stream connections of this process. Its listening sockets,
    and those for datagrams, can be shared."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if fd < 3 or not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
        except OSError:
            continue  # that of the list
        sock = wire.adopt(fd, keep_inheritable=True)
        try:
            if sock.family not in (AF_INET, AF_INET6, AF_UNIX) or sock.getsockopt(SOL_SOCKET, SO_TYPE) != SOCK_STREAM:
                continue
            waits = poll()
            waits.register(fd, 0)
            if not waits.poll(0):  # else both sides have ended it
                peer = sock.getpeername()
                found.append(peer[0] + ":%d" % peer[1] if isinstance(peer, tuple) else "unix:%s" % os.fsdecode(peer))
        except OSError:
            pass  # it is not connected
        finally:
            sock.detach()
    return _listed(found)


def _listed(names: List[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (" and %d more" % more if more > 0 else "")


def become(worker: Worker) -> Optional[Worker]:
    """Makes a template of the process of a worker that has served for the last time, if the
    master has promoted it, and lets it fork until its end. Returns the worker that this process
    is, if the template has forked it."""
    try:
        received = worker.channel.receive()
    except BlockingIOError:
        return None
    if received is None or received[0]["type"] != "promote" or not received[1]:
        return None
    template = Template(worker)
    try:
        if worker.own is not None:
            raise Unfit("its worker class is one of your own")
        template.prepare(received[1][0])
    except Unfit as e:
        worker.channel.send("refused", reason=str(e)[-_MAX_REASON:])
        return None
    return template.run()
