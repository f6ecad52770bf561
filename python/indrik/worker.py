"""A worker: the life of one process that runs the app.

It is made in the spawner, where the hook pre_fork sees it, and lives in a
process of its own from the fork on. No message that it has taken is ever lost.
"""

from __future__ import annotations

import faulthandler
import os
import struct
import sys
import threading
from socket import AF_UNIX, SO_RCVTIMEO, SOCK_STREAM, SOL_SOCKET, socketpair

from . import (
    appkind,
    appmetrics,
    ending,
    hooks,
    log,
    logsetup,
    monkey,
    oslevel,
    privileges,
    speed,
    spew,
    threads,
    title,
    wire,
    wsgi,
    wsgiwebsocket,
)
from .compat import finder
from .compat.hints import WORKER, MissingHint
from .forks import ForkGuard
from .imported import Imported
from .loader import AppImportError, BootError
from .view import Heartbeat
from .workersignals import WorkerSignals, leave_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from socket import socket
    from typing import Any, Callable, Collection, List, Optional, Union

    from .asgi import ASGIServer
    from .config import Config
    from .generation import Environment, Generation, LazyApp
    from .glogging import Logger
    from .view import Server
    from .wire import Scoreboard
    from .workerclass import Beat
    from .workers.base import Worker as OwnWorker

BOOT_ERROR = 3  # an exception before the worker was ready
LOAD_ERROR = 4  # the module is there, the app is not
INTERRUPTED = 130  # the app raised KeyboardInterrupt; as Python, in the words of a shell
CRASH = 255  # an exception that escaped the loop

# The slots wait for requests with this time limit, in seconds. It is there because Linux
# does not restart a receive that has a limit after a signal (signal(7)), so that handlers
# run at once, even those that must not disturb the system calls of the app.
_RECEIVE_LIMIT = 86400

# What the report of a worker that cannot boot begins with, in the dump file, and its size.
_BOOT_REPORT = "Worker failed to boot:\n"
_REPORT_LIMIT = 8 << 10


class Worker(MissingHint):
    _HINTS = WORKER

    # Set in the process of the worker, by attach.
    scoreboard: Scoreboard
    slots: List[socket]
    forks: ForkGuard
    signals: WorkerSignals
    channel: wire.Control
    _dump: int
    _end: socket

    def __init__(self, age: int, server: Server, generation: Generation) -> None:
        cfg = generation.cfg
        self.age = age
        self.server = server
        self.cfg = cfg
        self.app = generation.app
        self.log: Logger = server.log
        self.ppid = server.pid
        self.pid: Union[int, str] = "[booting]"
        self.timeout: float = cfg.get("timeout")
        self.sockets = server.LISTENERS
        self.reloader = None
        # After TTIN and TTOU it is another number than the setting.
        self.processes = max(cfg.get("workers") or 1, server.num_workers)
        self.tmp = Heartbeat()
        self.wsgi: Any = None  # the app, also one of ASGI
        self.nr = 0
        self.max_requests = _limit(cfg.get("max_requests"), cfg.get("max_requests_jitter"))
        self.booted = False
        self.alive = True
        self.aborted = False
        self.ready = False  # the master was told so
        self.stopping = False  # alive is for hooks, and may be set by them
        self.leaving = False  # at once: exceptions of the app are no responses from then on
        self.orphaned = False
        self.until: Optional[float] = None  # the end of graceful_timeout, by time.monotonic
        self.early: Collection[threading.Thread] = ()  # threads that were there before the first request
        self.environment: Optional[Environment] = None  # to be entered first
        self.generation = generation
        self.since = generation.since
        self.queue = generation.queue
        self.terminal = generation.terminal
        self.metrics = generation.metrics
        self.own: Optional[OwnWorker] = None  # the object of a worker class of one's own
        self.beat: Optional[Beat] = None  # calls its notify
        self.threaded = False
        self.is_gevent = False  # its requests are greenlets
        self.asgi: Optional[ASGIServer] = None  # serves an app of ASGI
        self.speed: Any = None  # the module indrik_speed, if it is used
        self.loop: Optional[AbstractEventLoop] = None  # of an app that needs it before asgi is made
        # Locks as flags that are set once, whichever thread comes first.
        self._recycled = threading.Lock()
        self._exhausted = threading.Lock()
        self._warm = threading.Lock()
        self.has_rights = False  # those of a worker, from the template that has forked it
        self.warm_after = sys.maxsize  # so many requests make this worker one that may become a template

    def __str__(self) -> str:
        return "<Worker %s>" % self.pid

    @property
    def shown(self) -> Union[Worker, OwnWorker]:
        """What hooks get as `worker`."""
        return self.own or self

    def notify(self) -> None:
        """Gunicorn's heartbeat. Nothing depends on it here."""
        self.tmp.notify()

    def attach(self, scoreboard: int, dump: int, channel: int, slots: List[int]) -> None:
        """Takes over the descriptors that belong to this worker alone, in its process."""
        self.pid = os.getpid()
        self.channel = wire.Control(channel)
        self._dump = dump
        self.scoreboard = wire.map_words(scoreboard)
        self.slots = [wire.adopt(fd) for fd in slots]
        self.threaded = len(slots) > 1 or self.cfg.kind == "gthread"
        self.is_gevent = self.cfg.kind == "gevent"
        # The end of a stream that nobody holds the other end of.
        mine, other = socketpair(AF_UNIX, SOCK_STREAM)
        other.close()
        self._end = mine
        self.signals = WorkerSignals(self)
        self.forks = ForkGuard(self.signals)
        self.forks.add(self._disarm)
        if self.own is not None:
            from . import workerclass  # already imported, by the spawner

            self.beat = workerclass.beat_of(self)
        limit = struct.pack("ll", _RECEIVE_LIMIT if self.beat is None else int(self.beat.every), 0)
        try:
            self.queue.setsockopt(SOL_SOCKET, SO_RCVTIMEO, limit)
        except OSError:
            pass

    def close_slots(self) -> None:
        """Gives up what leads to the front, after the last request."""
        for sock in self.slots:
            sock.close()
        self._end.close()
        self.asgi = self.loop = None
        del self.scoreboard

    def close_channel(self) -> None:
        """Gives up what leads to the master."""
        self.channel.sock.close()
        wire.close_all([self._dump])

    def _disarm(self) -> None:
        """Takes the worker's things from a fork of this process."""
        self.alive = False
        self.stopping = self.leaving = True
        if oslevel.DUMP is not None and hasattr(faulthandler, "unregister"):
            faulthandler.unregister(oslevel.DUMP)
        vars(self.channel)["send"] = hooks.nothing
        self.channel.sock.close()
        wire.close_all([self._dump])
        # Not closed: a loop may wait for them.
        for sock in [self.queue, *self.slots]:
            os.dup2(self._end.fileno(), sock.fileno(), inheritable=False)

    def main(self) -> None:
        """Runs the worker, and ends its process; so in each process that it forks as a template."""
        worker: Optional[Worker] = self
        while worker is not None:
            worker = worker._run()

    def _run(self) -> Optional[Worker]:
        """Returns only in a process that was forked by this worker as a template: the worker that it is."""
        code: Any = CRASH
        child: Optional[Worker] = None
        try:
            with self.forks:
                code = self._life()
            if code == 0 and self.stopping and not self.leaving:
                child = self._fork_others()
        except SystemExit as e:
            code = e.code
        finally:
            if child is None:
                with self.forks:
                    self.signals.take_leave()
        if child is not None:
            return child
        if self.aborted:
            leave_now(1)
        if self.signals.first and not self.ready:
            code = 128 + self.signals.first  # so that it is not taken for an app that exits
        ending.bound(self, code)
        sys.exit(code)

    def _fork_others(self) -> Optional[Worker]:
        """Serves on as a template, if the master has promoted this worker. Returns a worker in the
        process that this is after a fork."""
        from . import template  # not before: few workers become one

        return template.become(self)

    def _life(self) -> int:
        """Boots the worker and serves until its end. Returns the exit code."""
        try:
            self._begin()
            if self.own is None:
                self.work()
            else:
                with self.forks:
                    self.own.init_process()
                if not self.booted and not self.stopping:
                    raise BootError(
                        "%s.init_process() has not called super().init_process(), which loads the app and serves it"
                        % type(self.own).__name__
                    )
            return 0
        except AppImportError as e:
            self.log.debug("Exception while loading the application", exc_info=True)
            print("%s" % e, file=sys.stderr, flush=True)
            self._report(e)
            return LOAD_ERROR
        except BootError as e:
            self.log.error("%s", e, exc_info=e.__cause__)
            self._print(e)
            self._report(e.__cause__ or e)
            return BOOT_ERROR
        except SystemExit:
            raise
        except BaseException as e:
            self.log.exception("Exception in worker process")
            self._print(e)
            self._report(e)
            if isinstance(e, KeyboardInterrupt):
                return INTERRUPTED
            return CRASH if self.booted else BOOT_ERROR

    def _report(self, exception: BaseException) -> None:
        """Writes the exception to the dump file: the master shows it to an operator who waits for a reload."""
        if not self.ready:
            report = _BOOT_REPORT + log.app_traceback(exception)
            os.write(self._dump, report[:_REPORT_LIMIT].encode("utf-8", "backslashreplace"))

    def give_up(self, why: str) -> None:
        """Ends the process at once, from any thread, since the worker cannot boot."""
        self.log.error("%s", why)
        os.write(self._dump, (_BOOT_REPORT + why)[:_REPORT_LIMIT].encode("utf-8", "backslashreplace"))
        leave_now(BOOT_ERROR)

    @property
    def dump_file(self) -> int:
        """The descriptor of what the master reads when something goes wrong."""
        return self._dump

    def write_stacks(self, make: Callable[[], str]) -> None:
        """Writes stacks where the master reads them."""
        try:
            os.write(self._dump, make().encode("utf-8", "backslashreplace"))
        except Exception:  # the master does without
            self.log.debug("No stacks could be made", exc_info=True)

    def _print(self, exception: BaseException) -> None:
        """Writes an exception that was logged to standard error too, unless that is the log."""
        if self.cfg.get("errorlog") != "-" or logsetup.in_python(self.log):
            print("%s" % exception, file=sys.stderr, flush=True)

    def _begin(self) -> None:
        """What comes before the code of a worker class of one's own."""
        if self.is_gevent:
            monkey.after_fork()
        title.prepare()
        title.set("indrik: worker [%s]" % self.server.proc_name)
        if self.environment:
            # The spawner has since readied another generation.
            self.environment.enter(self.cfg)
            self.log = self.server.log = logsetup.make(self.cfg, self.log)
        appmetrics.use(self.metrics)
        self.log.info("Booting worker with pid: %s", self.pid)
        with self.forks:
            self.cfg.post_fork(self.server, self.shown)

    def work(self) -> None:
        """Boots and serves, until the worker ends."""
        self._boot()
        if not self.stopping:
            kind = {"kind": "asgi"} if self.asgi else {"kind": "gevent"} if self.is_gevent else {}
            self.ready = True
            used = {"speed": speed.VERSION} if self.speed is not None else {}
            self.channel.send("ready", stand_in=bool(self.app.error), modules=finder.found(), **kind, **used)
        with self.forks:
            if self.own is None:
                self.serve()
            else:
                self.own.run()

    def _boot(self) -> None:
        if not self.has_rights:
            privileges.become(self.cfg)
        self.speed = speed.find(self)
        appmetrics.use(self.metrics)  # those of another user
        random = sys.modules.get("random")
        if random:
            random.seed()
        self.signals.listen(self._dump)
        if self.terminal:
            from . import terminal

            terminal.take(self, self.terminal)
        if self.cfg.get("spew"):
            spew.install()
        if self.cfg.kind == "tornado":
            from .asgiloop import new_loop

            # An app may ask for IOLoop.current() as early as at its import.
            self.loop = new_loop(self)
        with self.forks:
            if self.own is None:
                self.load()
            else:
                self.own.init_signals()
                self.own.load_wsgi()
        asgi = self._adapt_asgi()
        if self.threaded:
            threads.tell_of_gil(self.log)
        with self.forks:
            self.cfg.post_worker_init(self.shown)
            if asgi:
                self._start_asgi()
            if self.cfg.get("warmup") and not self.app.error:
                from . import warmup  # few ask for it

                warmup.run(self)
        if not asgi:
            self.signals.listen_for_wake()  # the app may have taken that over
        self.early = frozenset(threading.enumerate())
        self.booted = True

    def _adapt_asgi(self) -> bool:
        """Gives an app of ASGI the form of ASGI 3; False: it is one of WSGI."""
        if self.app.error:
            return False  # the app that shows an error of the import is one of WSGI
        if self.cfg.kind == "tornado":
            from . import tornadoapp  # not before, as it needs Tornado

            self.wsgi = tornadoapp.wrap(self.wsgi, self.app.app_uri)
        elif appkind.is_tornado(self.wsgi):
            raise AppImportError("'%s' is an application of Tornado: use the worker class tornado." % self.app.app_uri)
        app = appkind.as_asgi(self.wsgi, self.app.app_uri, self.log, self.cfg.kind == "asgi")
        if app is None:
            return False
        if self.cfg.kind == "gevent":
            raise AppImportError(
                "'%s' is an application of ASGI: the worker class %s cannot run it." % (self.app.app_uri, self.cfg.kind)
            )
        self.wsgi = app
        self.threaded = False
        return True

    def _start_asgi(self) -> None:
        from . import asgi  # only here: asyncio is large

        if self.speed is not None:
            from . import asgispeed

            self.asgi = asgispeed.server(self)
        else:
            self.asgi = asgi.ASGIServer(self)
        self.asgi.start()

    def load(self) -> None:
        """Imports the app; with reload the master hears which files that has read."""
        if not self.cfg.get("reload"):
            self.wsgi = self.app.wsgi()
            return
        imported = Imported(self.channel, self.since)
        try:
            self.wsgi = self.app.wsgi()
        except BaseException as e:
            imported.tell_failure(e)
            raise
        imported.tell_failure(self.app.error)
        imported.keep_telling()

    # Serving

    def serve(self) -> None:
        """Serves until the worker ends."""
        if self.asgi is not None:
            self.asgi.serve()  # also if it is to end: so the app is told
        elif not self.stopping:
            self._serve_queue()
        if self.orphaned:
            self.log.info("Parent changed, shutting down: %s", self)

    def _serve_queue(self) -> None:
        if self.threaded:
            threads.run(self, self.signals.wake)
        elif self.is_gevent:
            from . import gevent_worker  # not before, as it needs gevent

            gevent_worker.GeventServer(self).run(self.signals.wake)
        else:
            self.serve_slot(0)

    def serve_slot(self, index: int) -> None:
        with self.forks:
            try:
                wsgi.serve(self, index)
            except wire.FrontGone:
                pass
        if not self.stopping:
            self.orphaned = True

    def stop(self) -> None:
        """Lets each slot end after the request that it has."""
        self.alive = False
        if not self.stopping:
            self.until = ending.end_of_grace(self)
        self.stopping = True
        if self.asgi is not None:
            self.asgi.call(self.asgi.stop)
            return
        # From here on a receive finds the end of the stream instead of a
        # request. One that a signal interrupted is started again by Python on
        # the same number (PEP 475); one that has its message already returns it.
        os.dup2(self._end.fileno(), self.queue.fileno(), inheritable=False)
        wsgiwebsocket.leave()

    def recycle(self) -> None:
        """Asks the master for a successor. The worker serves on until it is
        told to end."""
        if self._recycled.acquire(False):
            self.channel.send("recycle")

    def heed(self) -> None:
        """Replaces this worker if a hook has set alive to False."""
        if not self.alive and not self.stopping:
            self.alive = True
            self.recycle()

    @property
    def limit(self) -> int:
        """After so many requests, and each one more, reached_limit is to be called."""
        return min(self.max_requests, self.warm_after)

    def reached_limit(self) -> None:
        """Tells the master once that this worker is warm (refork_after), and has it replaced if
        max_requests is reached."""
        if self.nr >= self.warm_after and self._warm.acquire(False):
            self.channel.send("warm")
        if self.nr >= self.max_requests and self._exhausted.acquire(False):
            self.log.info("Autorestarting worker after current request.")
            self.recycle()


def _limit(requests: Optional[int], jitter: Optional[int]) -> int:
    """Returns after how many requests a worker is to be replaced."""
    if not requests:
        return sys.maxsize
    # os.urandom and not the random module: the latter costs milliseconds to
    # import, and its state may be the app's.
    return requests + int.from_bytes(os.urandom(8), "little") % ((jitter or 0) + 1)


def import_for_workers(cfg: Config, app: LazyApp) -> None:
    """Imports the modules that each worker would import for itself, so that they share that
    memory. Workers of WSGI get none, since their app may want to patch the standard library
    first, as long as it has not shown that it is one of ASGI."""
    try:
        if cfg.kind == "gevent":
            from . import gevent_worker  # noqa: F401
        elif cfg.kind in ("asgi", "tornado") or appkind.is_asgi(app.callable, app.app_uri):
            from . import asgi  # noqa: F401

            if cfg.get("asgi_loop") != "asyncio":
                import uvloop  # noqa: F401
    except Exception:
        pass  # the workers tell what cannot be imported
