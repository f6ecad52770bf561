"""A worker: the life of one process that runs the app.

It is made in the spawner, where the hook pre_fork sees it, and lives in a
process of its own from the fork on. TERM lets the requests it has taken finish;
no message that it has taken is ever lost. INT and QUIT end it at once, ABRT
after the hook worker_abort.
"""

import faulthandler
import os
import signal
import struct
import sys
import threading
from socket import AF_UNIX, SO_RCVTIMEO, SOCK_STREAM, SOL_SOCKET, socketpair

from . import (
    appkind,
    ending,
    forks,
    glogging,
    hooks,
    log,
    monkey,
    oslevel,
    privileges,
    spew,
    stdlib,
    threads,
    title,
    wire,
    wsgi,
)
from .absent import WORKER, Advice
from .imported import Imported
from .loader import AppImportError, BootError
from .view import Heartbeat

BOOT_ERROR = 3  # an exception before the worker was ready
LOAD_ERROR = 4  # the module is there, the app is not
INTERRUPTED = 130  # the app raised KeyboardInterrupt; as Python, in the words of a shell
CRASH = 255  # an exception that escaped the loop

# The slots wait for requests with this time limit, in seconds. It never
# matters but for one thing: Linux does not restart a receive that has a limit
# after a signal (signal(7)), so that handlers run at once, even those that
# must not disturb the system calls of the app.
_RECEIVE_LIMIT = 86400


class Worker(Advice):
    _ABSENT = WORKER

    def __init__(self, age, server, generation):
        cfg = generation.cfg
        self.age = age
        self.server = server
        self.cfg = cfg
        self.app = generation.app
        self.log = server.log
        self.ppid = server.pid
        self.pid = "[booting]"
        self.timeout = cfg.get("timeout")
        self.sockets = server.LISTENERS
        self.reloader = None
        # TTIN and TTOU make it another number than the setting.
        self.processes = max(cfg.get("workers") or 1, server.num_workers)
        self.tmp = Heartbeat()
        self.wsgi = None
        self.nr = 0
        self.max_requests = _limit(cfg.get("max_requests"), cfg.get("max_requests_jitter"))
        self.booted = False
        self.alive = True
        self.aborted = False
        self.ready = False  # the master was told so
        self.told = 0  # the signal that told it to end
        self.stopping = False  # alive is for hooks, and may be set by them
        self.leaving = False  # at once: what the app raises now is no answer
        self.orphaned = False
        self._ending = False
        self.until = None  # what requests have started may run until then, by time.monotonic
        self.early = ()  # threads that were there before the first request
        self.surroundings = None  # to be entered first, if not None
        self.since = generation.since
        self.queue = generation.queue
        self.terminal = generation.terminal
        self.board = None
        self.slots = []
        self.threaded = False
        self.green = False  # its requests are greenlets
        self.asgi = None  # what serves an app of ASGI
        self.loop = None  # for it, if it was needed before
        self.forks = None
        self._channel = None
        self._dump = None
        self._end = None
        self._wake = None
        # Locks as flags that are set once, whichever thread comes first.
        self._recycled = threading.Lock()
        self._exhausted = threading.Lock()

    def __str__(self):
        return "<Worker %s>" % self.pid

    @property
    def should_exit(self):
        """Uvicorn's word: this worker takes no more requests, or the server ends. It is
        found by way of the handler of SIGTERM, and responses that have no end of their own
        look at it: those of sse-starlette, twice a second."""
        return self.stopping or self.leaving or bool(self.board and self.board[wire.BOARD_END])

    def notify(self):
        """Gunicorn's heartbeat: whoever calls it need not."""
        self.tmp.notify()

    def attach(self, board, dump, channel, slots):
        """Takes over what belongs to this worker alone, in its process."""
        self.pid = os.getpid()
        self._channel = wire.Control(channel)
        self._dump = dump
        self.board = wire.words(board)
        self.slots = [wire.adopt(fd) for fd in slots]
        self.threaded = len(slots) > 1 or self.cfg.kind == "gthread"
        self.green = self.cfg.kind == "gevent"
        # The end of a stream that nobody holds the other end of.
        mine, other = socketpair(AF_UNIX, SOCK_STREAM)
        other.close()
        self._end = mine
        self.forks = forks.Guard(self)
        self.forks.add(self._let_go)
        limit = struct.pack("ll", _RECEIVE_LIMIT, 0)
        try:
            self.queue.setsockopt(SOL_SOCKET, SO_RCVTIMEO, limit)
        except OSError:
            pass

    def _let_go(self):
        """Takes from a fork of this process what is the worker's."""
        self.alive = False
        self.stopping = self.leaving = True
        if oslevel.DUMP is not None and hasattr(faulthandler, "unregister"):
            faulthandler.unregister(oslevel.DUMP)
        self._channel.send = hooks.nothing
        self._channel.sock.close()
        wire.close_all([self._dump])
        # Not closed: a loop may wait for them.
        for sock in [self.queue, *self.slots]:
            os.dup2(self._end.fileno(), sock.fileno(), inheritable=False)

    def main(self):
        """Runs the worker, and ends its process."""
        code = CRASH
        try:
            with self.forks:
                code = self._life()
        except SystemExit as e:
            code = e.code
        finally:
            with self.forks:
                self._take_leave()
        if self.aborted:
            self._leave_now(1)
        if self.told and not self.ready:
            code = 128 + self.told  # so that it is not taken for an app that exits
        ending.bound(self, code)
        sys.exit(code)

    def _life(self):
        """Returns the exit code."""
        try:
            self._boot()
            if not self.stopping:
                kind = {"kind": "asgi"} if self.asgi else {"kind": "gevent"} if self.green else {}
                self.ready = True
                self._channel.send("ready", stand_in=bool(self.app.error), **kind)
            with self.forks:
                if self.asgi is not None:
                    self.asgi.serve()  # also if it is to end: so the app is told
                    self._tell_orphaned()
                elif not self.stopping:
                    self._serve()
            return 0
        except AppImportError as e:
            self.log.debug("Exception while loading the application", exc_info=True)
            print("%s" % e, file=sys.stderr, flush=True)
            return LOAD_ERROR
        except BootError as e:
            self.log.error("%s", e, exc_info=e.__cause__)
            self._print(e)
            return BOOT_ERROR
        except SystemExit:
            raise
        except BaseException as e:
            self.log.exception("Exception in worker process")
            self._print(e)
            if isinstance(e, KeyboardInterrupt):
                return INTERRUPTED
            return CRASH if self.booted else BOOT_ERROR

    def _print(self, exception):
        """Says it on standard error, unless the log is there and has said it."""
        if self.cfg.get("errorlog") != "-" or glogging.in_python(self.log):
            print("%s" % exception, file=sys.stderr, flush=True)

    def _boot(self):
        if self.green:
            monkey.after_fork()
        title.prepare()
        title.set("indrik: worker [%s]" % self.server.proc_name)
        if self.surroundings:
            # The spawner has since readied another generation.
            self.surroundings.enter(self.cfg)
            self.log = self.server.log = glogging.make(self.cfg, self.log)
        self.log.info("Booting worker with pid: %s", self.pid)
        with self.forks:
            self.cfg.post_fork(self.server, self)
        become(self.cfg)
        random = sys.modules.get("random")
        if random:
            random.seed()
        self._listen()
        if self.terminal:
            from . import terminal

            terminal.take(self, self.terminal)
        if self.cfg.get("spew"):
            spew.install()
        if self.cfg.kind == "tornado":
            from .asgi import new_loop

            # An app may ask for IOLoop.current() as early as at its import.
            self.loop = new_loop(self)
        with self.forks:
            self._load()
        asgi = self._is_asgi()
        if self.threaded:
            threads.tell_of_gil(self.log)
        with self.forks:
            self.cfg.post_worker_init(self)
            if asgi:
                self._start_asgi()
        if not asgi:
            self._listen_for_wake()  # the app may have taken that over
        self.early = frozenset(threading.enumerate())
        self.booted = True

    def _is_asgi(self):
        """Tells whether the app is one of ASGI, as which it is served then."""
        if self.app.error:
            return False  # what shows an error of the import is one of WSGI
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

    def _start_asgi(self):
        from . import asgi  # only here: asyncio is large

        self.asgi = asgi.Server(self)
        self.asgi.start()

    def _load(self):
        """Imports the app; with reload the master hears of what was imported."""
        if not self.cfg.get("reload"):
            self.wsgi = self.app.wsgi()
            return
        imported = Imported(self._channel, self.since)
        try:
            self.wsgi = self.app.wsgi()
        except BaseException as e:
            imported.tell_failure(e)
            raise
        imported.tell_failure(self.app.error)
        imported.keep_telling()

    # Signals

    def _listen(self):
        handlers = {
            "SIGTERM": self._on_term,
            "SIGINT": self._on_quit,
            "SIGQUIT": self._on_quit,
            "SIGABRT": self._on_abort,
            "SIGUSR1": self._on_usr1,
            "SIGWINCH": self._on_winch,
            # Meant for the master. With Gunicorn they end a worker, so that
            # one `pkill -HUP` ends them all.
            "SIGHUP": hooks.nothing,
            "SIGUSR2": hooks.nothing,
            "SIGTTIN": hooks.nothing,
            "SIGTTOU": hooks.nothing,
            "SIGCHLD": signal.SIG_DFL,
        }
        for name, handler in handlers.items():
            signal.signal(getattr(signal, name), handler)
        if self.threaded:
            signal.signal(threads.NUDGE, hooks.nothing)
        if self.threaded or self.green:
            self._wake = os.pipe()
            for fd in self._wake:
                os.set_blocking(fd, False)
            self._listen_for_wake()
        if not faulthandler.is_enabled():  # it may be, on standard error: PYTHONFAULTHANDLER
            faulthandler.enable(file=self._dump, all_threads=True)
            signal.signal(signal.SIGABRT, handlers["SIGABRT"])  # it is the master's
        oslevel.write_stacks_to(self._dump)

    def _listen_for_wake(self):
        if self._wake:
            signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)

    def _on_term(self, number, frame):
        # Comes again and again until this process is gone.
        new = not self.stopping
        self.told = self.told or signal.SIGTERM
        self.stop()
        if new and self.board[wire.BOARD_RELOADED]:
            self.cfg.worker_int(self)  # as Gunicorn does when code has changed

    def _on_quit(self, number, frame):
        if self.leaving or self._ending:
            return
        self.told = signal.SIGQUIT
        self.alive = False
        self.leaving = True
        if self.asgi is not None and self.booted:
            self.cfg.worker_int(self)
            self.asgi.call(self.asgi.quit)
        else:
            self._break_off(self.cfg.worker_int, 0)

    def _on_abort(self, number, frame):
        if self._ending:
            self._leave_now(1)  # the hook worker_exit, or a thread of the app, hangs
        if self.aborted:
            return
        self.alive = False
        self.leaving = True
        self.aborted = True
        self._break_off(self.cfg.worker_abort, 1)

    def _break_off(self, hook, code):
        """Ends the process at once, whatever it does."""
        if self.green and self.booted:
            from . import green

            green.here_or_beside_the_hub(self._leave_with, hook, code)
        elif (self.threaded or self.asgi is not None) and self.booted:
            self._leave_with(hook, code)
        else:
            hook(self)
            sys.exit(code)

    def _leave_with(self, hook, code):
        hook(self)
        self._take_leave()
        self._leave_now(code)

    def _on_usr1(self, number, frame):
        self.log.reopen_files()

    def _on_winch(self, number, frame):
        if not self.board[wire.BOARD_PROMOTED]:
            self.log.debug("worker: SIGWINCH ignored.")
            return
        name = title.get()
        if name.endswith(".2]"):
            title.set(name[:-3] + "]")

    def _take_leave(self):
        self._ending = True
        self.log.info("Worker exiting (pid: %s)", self.pid)
        try:
            self.cfg.worker_exit(self.server, self)
        except Exception as e:
            self.log.warning("Exception during worker exit:\n%s", log.app_traceback(e))

    def _leave_now(self, code):
        """Ends the process although threads may run the app; the interpreter
        would wait for some of them."""
        log.flush()
        os._exit(code)

    # Serving

    def _serve(self):
        if self.threaded:
            threads.run(self, self._wake)
        elif self.green:
            from . import green  # not before, as it needs gevent

            green.Server(self).run(self._wake)
        else:
            self.serve_slot(0)
        self._tell_orphaned()

    def _tell_orphaned(self):
        if self.orphaned:
            self.log.info("Parent changed, shutting down: %s", self)

    def serve_slot(self, index):
        with self.forks:
            try:
                wsgi.serve(self, index)
            except wsgi.FrontGone:
                pass
        if not self.stopping:
            self.orphaned = True

    def stop(self):
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

    def recycle(self):
        """Asks the master for a successor. The worker serves on until it is
        told to end."""
        if self._recycled.acquire(False):
            self._channel.send("recycle")

    def heed(self):
        """Does what hooks ask for by setting alive to False."""
        if not self.alive and not self.stopping:
            self.alive = True
            self.recycle()

    def exhausted(self):
        """max_requests is reached."""
        if self._exhausted.acquire(False):
            self.log.info("Autorestarting worker after current request.")
            self.recycle()


def _limit(requests, jitter):
    """Returns after how many requests a worker is to be replaced."""
    if not requests:
        return sys.maxsize
    # os.urandom and not the random module: the latter costs milliseconds to
    # import, and its state may be the app's.
    return requests + int.from_bytes(os.urandom(8), "little") % ((jitter or 0) + 1)


def become(cfg):
    """Gives up the first user for good, if another one is configured."""
    uid, gid, initgroups = cfg.uid, cfg.gid, cfg.get("initgroups")
    changes = uid is not None and uid != os.geteuid()
    if gid is not None and gid != os.getegid():
        os.setgid(gid)
    if initgroups and uid is not None:
        pwd = stdlib.load("pwd")

        try:
            os.initgroups(pwd.getpwuid(uid).pw_name, os.getegid() if gid is None else gid)
        except KeyError:
            pass  # a number without a name has no groups
    elif changes and os.geteuid() == 0:
        os.setgroups([])  # those of root are not for others
    if changes:
        os.setuid(uid)
    if privileges.are_limited(cfg, changes):
        privileges.limit()
