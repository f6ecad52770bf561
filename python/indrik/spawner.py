"""The spawner: evaluates the config file, runs the hooks of the master's side,
imports the app if it is preloaded, and forks the workers.

One loop handles commands and the ends of workers, one at a time. The spawner
obeys its control socket alone: a terminal's Ctrl-C, or a TERM to every process
of a service, is the master's to answer. When the master is gone it ends.
"""

import errno
import gc
import os
import signal
import sys
import time
from functools import partial

# Taken at import time: workers of kind gevent need a standard library that is
# patched, and this process must not become a greenlet.
from os import fork, wait4, waitpid
from select import POLLIN, poll
from signal import set_wakeup_fd
from signal import signal as on_signal

from . import (
    appkind,
    carrying,
    forks,
    glogging,
    hooks,
    interpreter,
    lingering,
    loader,
    monkey,
    oslevel,
    paste,
    privileges,
    spew,
    title,
    wire,
)
from .config import Config, ConfigError, File
from .family import Family
from .generation import App, Generation, Surroundings
from .imported import Imported
from .loader import AppImportError
from .log import app_traceback, flush
from .relay import Relay
from .view import OtherWorker, Server
from .worker import BOOT_ERROR, INTERRUPTED, LOAD_ERROR, Worker, become

_MASTER_SIGNALS = {int(getattr(signal, name)) for name in hooks.MASTER_SIGNALS}

# The exit codes of a worker for which there is no hook child_exit.
_NOT_STARTED = (BOOT_ERROR, LOAD_ERROR)


# How large the values of a config file may be together, in bytes: a message has them, and
# some more.
_MAX_SETTINGS = wire.MAX_MESSAGE - 1024


def _peak(used):
    """Returns the most memory that a process had, in KiB (getrusage(2): macOS counts in
    bytes)."""
    if used is None:
        return 0
    return used.ru_maxrss >> 10 if sys.platform == "darwin" else used.ru_maxrss


class CallError(Exception):
    """A call that failed."""

    def __init__(self, stage, error, traceback="", code=1, errno=None):
        super().__init__(error)
        self.fields = {
            "stage": stage,
            "error": wire.clip(error),
            "traceback": wire.clip(traceback),
            "code": code,
            "errno": errno or 0,
        }


class Spawner:
    def __init__(self, control):
        # Before any code runs that could register a handler of its own.
        self.family = Family(self._leave)
        self.control = control
        self.pid = os.getpid()
        self.server = Server()
        self.surroundings = Surroundings()
        self.files = {}  # generation number: its config file
        self.generations = {}
        self.entered = None  # the generation whose surroundings are in place
        self.short = set()  # workers whose descriptors did not all arrive
        self.early = {}  # worker: descriptors of slots that came before it
        self.child = None  # in a new process: the worker or relay that it is
        self.relays = set()  # pids
        self.logging = None  # what the loggers were when a relay was last asked for
        self.leaving = False
        self.others = None  # what ran here before the hooks on_starting and when_ready
        self.started = time.time()
        self.wake = os.pipe()
        for fd in self.wake:
            os.set_blocking(fd, False)
        self.forks = forks.Guard(self)
        self.listen()

    def listen(self):
        """Directs signals here. Code of the app, which may have directed them
        elsewhere, runs between the calls."""
        # Handled by doing nothing. They are not ignored, since exec(3) hands on
        # what is ignored to whatever the app starts.
        for name in hooks.MASTER_SIGNALS:
            on_signal(getattr(signal, name), hooks.nothing)
        on_signal(signal.SIGCHLD, hooks.nothing)
        monkey.sigchld_was_taken()
        set_wakeup_fd(self.wake[1], warn_on_full_buffer=False)

    def run(self):
        """Returns None in the spawner, at its end, and in a new process what that
        is to be."""
        waits = poll()
        waits.register(self.control, POLLIN)
        waits.register(self.wake[0], POLLIN)
        while not (self.leaving and not self.server.WORKERS):
            waits.poll()
            self._sleep_again()
            self.reap()
            try:
                message = self.control.receive()
            except BlockingIOError:
                continue
            if message is None:
                return None
            self.handle(*message)
            if self.child:
                return self.child
        return None

    def _sleep_again(self):
        """Reads which signals came, and tells the master of those that are for it."""
        came = b""
        try:
            while True:
                came += os.read(self.wake[0], 4096)
        except BlockingIOError:
            pass
        for number in sorted(set(came) & _MASTER_SIGNALS):
            self.control.send("signalled", signal=number)

    def handle(self, message, fds):
        call = message.get("call")
        try:
            answer = self._answer(message, fds)
        except CallError as e:
            wire.close_all(fds)
            # A change of these may mend it.
            Imported(self.control, self.started).tell_failure(e)
            answer = dict(e.fields, type="failed")
        if self.child:
            return
        self.listen()
        if call:
            answer.setdefault("type", "ok")
            self.control.send(answer.pop("type"), call=call, **answer)

    def _answer(self, message, fds):
        if message.get("truncated"):
            self.short.add(message.get("age"))
            raise CallError(
                "system", "no descriptors are left in the spawner for `%s`" % message["type"], errno=errno.EMFILE
            )
        try:
            return getattr(self, "on_" + message["type"])(message, fds) or {}
        except OSError as e:
            raise CallError(
                "system", "`%s` failed in the spawner: %s" % (message["type"], e), app_traceback(e), errno=e.errno
            ) from None

    def on_configure(self, message, fds):
        self.entered = None
        self.surroundings.restore()
        try:
            if message.get("chdir"):
                self.surroundings.chdir(message["chdir"])
            if message.get("kind") == "gevent":
                self._patch("gevent")  # the config file imports things, too
            with self.forks:
                file = File(message.get("config_file"))
        except ConfigError as e:
            raise CallError("config", str(e), e.traceback, e.code) from None
        except OSError as e:
            raise CallError("config", "\nError: %s" % e) from None
        kept = {n: f for n, f in self.files.items() if n in self.generations}
        kept[message["generation"]] = file
        self.files = kept
        answer = {
            "settings": file.plain(),
            "hooks": sorted(file.hooks),
            "lines": file.lines,
            "python": {"version": interpreter.version(), "executable": sys.executable or ""},
        }
        size = wire.size(answer)
        if size > _MAX_SETTINGS:
            sizes = {name: wire.size(value) for name, value in answer["settings"].items()}
            largest = max(sizes, key=sizes.get)
            raise CallError(
                "config",
                "\nError: the values in %s are too large: %d bytes of at most %d, '%s' has %d."
                " Names that begin with an underscore do not count."
                % (message["config_file"], size, _MAX_SETTINGS, largest, sizes[largest]),
            )
        return answer

    def on_ssl_context(self, message, fds):
        from . import tlshook  # only here: ssl costs milliseconds

        file = self.files[message["generation"]]
        cfg = Config(message["settings"], file, message.get("app"), message.get("kind"))
        try:
            self.surroundings.enter(cfg)
            with self.forks:
                values = tlshook.evaluate(file.hooks["ssl_context"], cfg)
        except tlshook.TLSHookError as e:
            raise CallError("config", "\nError: %s" % e, e.traceback) from None
        except OSError as e:
            raise CallError("config", "\nError: %s" % e) from None
        return {"settings": values}

    def on_prepare(self, message, fds):
        number, server = message["generation"], message.get("server") or {}
        file = self.files.get(number) or File()
        settings = message["settings"]
        ini = settings.get("paste") and message["app"].partition("#")[0]
        if ini and not settings.get("logconfig") and paste.configures_logging(ini):
            settings["logconfig"] = ini
        cfg = Config(settings, file, message.get("app"), message.get("kind"))
        if cfg.kind == "gevent":
            self._patch(cfg.get("worker_class"))
        try:
            self.surroundings.enter(cfg)
            self.server.log = glogging.make(cfg, self.server.log)
        except (OSError, glogging.LogConfigError) as e:
            raise CallError("config", "\nError: %s" % e) from None
        load = loader.load
        if ini:
            load = partial(paste.load, global_conf=cfg.get("raw_paste_global_conf") or ())
        app = App(message.get("app"), self.server.log, message.get("stand_in"), load)
        if cfg.get("preload_app") or message.get("load"):
            if cfg.get("spew"):
                spew.install()
            app = self._preloaded(app, message.get("load"))
        app.cfg = cfg
        self.generations[number] = Generation(number, cfg, app, self.started, *fds)
        self.generations[number].terminal = message.get("terminal", 0)
        self.entered = number
        self.server.cfg, self.server.app = cfg, app
        self.server.update(server)
        self._title(self.server.proc_name)
        _share(cfg, app)
        if privileges.are_limited(cfg, cfg.uid not in (None, os.geteuid())):
            try:
                privileges.prepare()
            except privileges.PrivilegesError as e:
                raise CallError(
                    "config", "\nError: worker_no_new_privs cannot be had, %s. Set it to False to go on without." % e
                ) from None
        # What is there now stays: the collector need not touch it, so that
        # workers go on sharing its pages.
        if cfg.get("preload_app"):
            gc.collect()
        if hasattr(gc, "freeze"):
            gc.freeze()
        self.logging = glogging.state(self.server.log)
        return {"logger": glogging.in_python(self.server.log)}

    def _patch(self, name):
        try:
            monkey.patch(name)
        except monkey.PatchError as e:
            raise CallError("config", str(e)) from None

    def _preloaded(self, app, load):
        if not load:
            # A reload keeps the app that is held already.
            for generation in self.generations.values():
                if generation.app.callable is not None:
                    return generation.app
        try:
            with self.forks:
                app.wsgi()
        except AppImportError as e:
            # No line of the app is to blame: the text says it all.
            raise CallError("load", str(e)) from None
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else int(e.code is not None)
            raise CallError("load", "the app called sys.exit(%r)" % (e.code,), app_traceback(e), code) from None
        except BaseException as e:
            # Gunicorn's master, which imports the app itself, ends with 1.
            code = INTERRUPTED if isinstance(e, KeyboardInterrupt) else 1
            raise CallError("load", "", app_traceback(e), code) from None
        return app

    def on_slots(self, message, fds):
        self.early.setdefault(message["age"], []).extend(fds)

    def on_spawn(self, message, fds):
        number, age = message["generation"], message["age"]
        if age in self.short:
            self.short.discard(age)
            wire.close_all(self.early.pop(age, []))
            raise CallError("system", "no descriptors are left in the spawner for a worker", errno=errno.EMFILE)
        generation = self.generations[number]
        self.server.update(message.get("server") or {})
        self.server.cfg, self.server.app = generation.cfg, generation.app
        board, dump, channel = fds[:3]
        slots = self.early.pop(age, []) + fds[3:]
        fds[:] = [board, dump, channel, *slots]  # all of them are closed, whatever happens
        worker = Worker(age, self.server, generation)
        self._run_hook(generation.cfg.pre_fork, self.server, worker)
        pid = self._fork("a worker", [*fds, generation.queue.fileno()])
        if pid == 0:
            self.child = worker
            worker.attach(board, dump, channel, slots)
            worker.surroundings = None if self.entered == number else self.surroundings
            return {}
        wire.close_all(fds)
        worker.pid = pid
        self.server.WORKERS[pid] = worker
        return {"pid": pid}

    def _fork(self, what, keep):
        """Forks, with nothing in the buffers that both would write. The new process has
        only those descriptors of this server that it is to keep."""
        flush()
        self.forks.paused = True  # what is made here has a guard of its own
        try:
            return self.family.fork(fork, keep)
        except OSError as e:
            raise CallError("fork", "cannot fork %s: %s" % (what, e), errno=e.errno) from None
        finally:
            self.forks.paused = os.getpid() != self.pid

    def _leave(self, keep):
        """Closes, in a process that was just forked, what it does not keep."""
        set_wakeup_fd(-1)
        wire.close_all(self.wake)
        self.control.sock.close()
        for fds in self.early.values():
            wire.close_all(fds)
        for generation in self.generations.values():
            if generation.queue.fileno() not in keep:
                generation.close()

    def on_logger(self, message, fds):
        """Forks the process that writes the lines of the master and the front."""
        cfg = self.generations[message["generation"]].cfg
        pid = self._fork("the logger", fds)
        if pid == 0:
            self.child = Relay(*fds, self.server, cfg)
            become(cfg)
            return {}
        wire.close_all(fds)
        self.relays.add(pid)
        return {"pid": pid, "level": self.server.log.error_log.getEffectiveLevel()}

    def on_ping(self, message, fds):
        """The answer is all that the master wants."""

    def on_hook(self, message, fds):
        generation = self.generations.get(message["generation"])
        if generation:
            function = getattr(generation.cfg, message["hook"])
            self.server.cfg, self.server.app = generation.cfg, generation.app
        else:
            function = self.files[message["generation"]].hooks.get(message["hook"], hooks.nothing)
        self.server.update(message.get("server") or {})
        if message["hook"] in ("on_starting", "when_ready") and self.others is None:
            self.others = lingering.running()
        self._run_hook(function, self.server, *message.get("args") or ())
        if generation:
            before, self.logging = self.logging, glogging.state(self.server.log)
            return {"logger": self.logging != before and glogging.in_python(self.server.log)}
        return None

    def _run_hook(self, function, *args):
        try:
            with self.forks:
                function(*args)
        except BaseException as e:
            code = e.code if isinstance(e, SystemExit) and isinstance(e.code, int) else 1
            text = str(e) or type(e).__name__
            raise CallError("hook", text, app_traceback(e), code) from None

    def on_attributes(self, message, fds):
        attributes, lost = carrying.pack(self.server)
        return {"attributes": attributes, "lost": lost}

    def on_adopt(self, message, fds):
        with self.forks:
            return {"lost": carrying.unpack(self.server, message["attributes"])}

    def on_release(self, message, fds):
        generation = self.generations.pop(message["generation"], None)
        if generation:
            generation.close()
        self.files.pop(message["generation"], None)

    def on_reopen(self, message, fds):
        if self.server.log:
            self.server.log.reopen_files()

    def on_title(self, message, fds):
        # All titles of one master have the same name in their brackets.
        self._title(message["title"].partition("[")[2].rstrip("]"))

    def _title(self, name):
        self.server.proc_name = name
        title.set("indrik: spawner [%s]" % name)

    def on_exit(self, message, fds):
        if message.get("linger") and self._lingers():
            return {"lingers": True}
        # A worker that is told of here is another spawner's.
        self.server.WORKERS = {pid: w for pid, w in self.server.WORKERS.items() if type(w) is not OtherWorker}
        self.leaving = True
        return None

    def _lingers(self):
        """Reports whether on_starting or when_ready has left something behind that goes on
        running here: threads, say a watchdog, or processes. In Gunicorn these live as long as
        the master. What else runs here every spawner has."""
        if self.others is None:
            return False
        self.reap()
        ours = {("process", pid) for pid in self.relays.union(self.server.WORKERS)}
        return bool(lingering.running() - self.others - ours)

    def on_workers(self, message, fds):
        """Takes note of the workers of other spawners."""
        self.server.update(message.get("server") or {})
        others = dict(message.get("workers") or ())
        for pid, worker in list(self.server.WORKERS.items()):
            if type(worker) is OtherWorker and pid not in others:
                del self.server.WORKERS[pid]
        for pid, age in others.items():
            if pid not in self.server.WORKERS:
                self.server.WORKERS[pid] = OtherWorker(self.server, pid, age)

    def reap(self):
        """Tells the master of each worker that has ended. Other children of
        this process are the app's, and left to it."""
        for pid, worker in list(self.server.WORKERS.items()):
            if type(worker) is OtherWorker:
                continue
            try:
                done, status, used = wait4(pid, os.WNOHANG)
            except ChildProcessError:
                done, status, used = pid, 0, None  # the app waited for it
            if not done:
                continue
            del self.server.WORKERS[pid]
            by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            code = 0 if by else os.WEXITSTATUS(status)
            if code not in _NOT_STARTED and worker.cfg.child_exit is not hooks.nothing:
                # It may take any time: the master must not take this for a hang.
                self.control.send("busy")
                try:
                    with self.forks:
                        worker.cfg.child_exit(self.server, worker)
                except BaseException:
                    self.server.log.exception("Exception in child_exit hook")
                self.control.send("idle")
                self.listen()
            self.control.send("exited", age=worker.age, pid=pid, code=code, signal=by, peak=_peak(used))
        for pid in list(self.relays):
            try:
                if waitpid(pid, os.WNOHANG)[0]:
                    self.relays.discard(pid)
            except ChildProcessError:
                self.relays.discard(pid)


def _share(cfg, app):
    """Imports what each worker would import for itself: so they share its memory.
    Not for workers of WSGI, where an app may want to patch the standard library
    first, as long as it has not shown that it is one of ASGI."""
    try:
        if cfg.kind == "gevent":
            from . import green  # noqa: F401
        elif cfg.kind in ("asgi", "tornado") or appkind.is_asgi(app.callable, app.app_uri):
            from . import asgi  # noqa: F401

            if cfg.get("asgi_loop") != "asyncio":
                import uvloop  # noqa: F401
    except Exception:
        pass  # what cannot be imported the workers tell of


def main(fd):
    title.prepare()
    title.set("indrik: spawner")
    oslevel.write_stacks_to(fd + 2)
    child = Spawner(wire.Control(fd)).run()
    if child is not None:
        child.main()
