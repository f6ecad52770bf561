"""The spawner: evaluates the config file, runs the hooks of the master's side,
imports the app if it is preloaded, and forks the workers.

One loop handles commands and the ends of workers, one at a time. The spawner
obeys its control socket alone: a terminal's Ctrl-C, or a TERM to every process
of a service, is the master's to answer. When the master is gone it ends.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import time
from functools import partial

# Taken at import time: workers of kind gevent need a standard library that is
# patched, and this process must not become a greenlet.
from os import fork
from select import POLLIN, poll
from signal import set_wakeup_fd
from signal import signal as on_signal

from . import (
    appmetrics,
    carrying,
    configuring,
    forks,
    hooks,
    loader,
    logsetup,
    monkey,
    oslevel,
    paste,
    privileges,
    spew,
    title,
    wire,
)
from .calls import CallError
from .children import Children
from .compat import finder
from .config import Config, ConfigFile
from .family import Family
from .generation import Environment, Generation, LazyApp
from .imported import Imported
from .loader import AppImportError
from .log import app_traceback, flush
from .logdefaults import LogConfigError
from .loggerprocess import LoggerProcess
from .view import OtherWorker, Server
from .worker import INTERRUPTED, Worker, import_for_workers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Collection, Dict, List, Optional, Set, Union

    from .calls import Answer, Message
    from .poolspawning import Arbiter
    from .poolworker import PoolWorker

_MASTER_SIGNALS = {int(getattr(signal, name)) for name in hooks.MASTER_SIGNALS}


class Spawner:
    """Obeys the master: each call of the control socket is a method or a function, see CALLS."""

    def __init__(self, control: wire.Control) -> None:
        # Before any code runs that could register a handler of its own.
        self.family = Family(self._leave)
        self.control = control
        self.pid = os.getpid()
        self.server = Server()
        self.environment = Environment()
        self.files: Dict[int, ConfigFile] = {}  # by the number of the generation
        self.generations: Dict[int, Generation] = {}
        self.entered: Optional[int] = None  # the generation whose environment is in place
        self.short_of_fds: Set[int] = set()  # workers whose descriptors did not all arrive, by age
        self.early_slots: Dict[int, List[int]] = {}  # descriptors of slots that came before their worker, by age
        self.arbiter: Optional[Arbiter] = None  # what hooks see of it, if it forks workers of pools
        self.child: Union[Worker, LoggerProcess, PoolWorker, None] = None  # in a new process: what that is to be
        self.logging: Any = None  # the state of the loggers when a logger process was last asked for
        self.leaving = False
        self.started = time.time()
        self.wake = os.pipe()
        for fd in self.wake:
            os.set_blocking(fd, False)
        self.forks = forks.ForkGuard(self)
        self.children = Children(self.server, control, self.forks, self.listen)
        self.listen()

    def listen(self) -> None:
        """Directs signals here. Code of the app, which may have directed them
        elsewhere, runs between the calls."""
        # Handled by doing nothing. They are not ignored, since exec(3) hands on
        # ignored signals to the programs that the app starts.
        for name in hooks.MASTER_SIGNALS:
            on_signal(getattr(signal, name), hooks.nothing)
        on_signal(signal.SIGCHLD, hooks.nothing)
        monkey.sigchld_was_taken()
        set_wakeup_fd(self.wake[1], warn_on_full_buffer=False)

    def run(self) -> Union[Worker, LoggerProcess, PoolWorker, None]:
        """Returns None in the spawner, at its end; in a new process the worker or the logger
        that it is to be."""
        waits = poll()
        waits.register(self.control, POLLIN)
        waits.register(self.wake[0], POLLIN)
        while not (self.leaving and not self.server.WORKERS):
            waits.poll()
            self._sleep_again()
            self.children.reap()
            try:
                message = self.control.receive()
            except BlockingIOError:
                continue
            if message is None:
                if self.arbiter is not None:
                    self.server.log.warning("Parent changed, shutting down dirty arbiter")
                return None
            self.handle(*message)
            if self.child:
                return self.child
        if self.arbiter is not None:
            self.server.log.info("Dirty arbiter exiting (pid: %s)", self.pid)
        return None

    def _sleep_again(self) -> None:
        """Empties the pipe of signals, and tells the master of those that are for it."""
        came = b""
        try:
            while True:
                came += os.read(self.wake[0], 4096)
        except BlockingIOError:
            pass
        for number in sorted(set(came) & _MASTER_SIGNALS):
            self.control.send("signalled", signal=number)

    def handle(self, message: Message, fds: List[int]) -> None:
        call = message.get("call")
        try:
            answer = self._answer(message, fds)
        except CallError as e:
            wire.close_all(fds)
            # A change of the files that it comes from may mend it.
            Imported(self.control, self.started).tell_failure(e)
            answer = dict(e.fields, type="failed")
        if self.child:
            return
        self.listen()
        if call:
            answer.setdefault("type", "ok")
            self.control.send(answer.pop("type"), call=call, **answer)

    def _answer(self, message: Message, fds: List[int]) -> Dict[str, Any]:
        if message.get("truncated"):
            self.short_of_fds.add(message.get("age", 0))
            raise CallError(
                "system", "no descriptors are left in the spawner for `%s`" % message["type"], errno=errno.EMFILE
            )
        try:
            return self.CALLS[message["type"]](self, message, fds) or {}
        except OSError as e:
            raise CallError(
                "system", "`%s` failed in the spawner: %s" % (message["type"], e), app_traceback(e), errno=e.errno
            ) from None

    def keep(self, file: ConfigFile, generation: int) -> None:
        """Keeps the settings of a generation in the making."""
        self.files = {n: f for n, f in self.files.items() if n in self.generations}
        self.files[generation] = file

    def on_prepare(self, message: Message, fds: List[int]) -> Answer:
        number, server = message["generation"], message.get("server") or {}
        file = self.files.get(number) or ConfigFile()
        settings = message["settings"]
        ini = settings.get("paste") and message["app"].partition("#")[0]
        if ini and not settings.get("logconfig") and paste.configures_logging(ini):
            settings["logconfig"] = ini
        cfg = Config(settings, file, message.get("app"), message.get("kind"))
        if cfg.kind == "gevent":
            configuring.patch(cfg.get("worker_class"))
        try:
            self.environment.enter(cfg)
            self.server.log = logsetup.make(cfg, self.server.log)
        except (OSError, LogConfigError) as e:
            raise CallError("config", "\nError: %s" % e) from None
        metrics = appmetrics.choose(message.get("app_metrics"), self.server.log)
        appmetrics.use(metrics, self.environment.put)
        load: Callable[[str], Any] = loader.load
        if ini:
            load = partial(paste.load, global_conf=cfg.get("raw_paste_global_conf") or ())
        app = file.app(message.get("app"), self.server.log)
        if app is None:
            app = LazyApp(message.get("app"), self.server.log, bool(message.get("stand_in")), load)
        if cfg.get("preload_app") or message.get("load"):
            if cfg.get("spew"):
                spew.install()
            app = self._preloaded(app, bool(message.get("load")))
        app.configure(cfg)
        self.generations[number] = Generation(number, cfg, app, self.started, *fds)
        self.generations[number].metrics = metrics
        self.generations[number].terminal = message.get("terminal", 0)
        self.entered = number
        self.server.cfg, self.server.app = cfg, app.shown
        self.server.update(server)
        self.set_title(self.server.proc_name)
        import_for_workers(cfg, app)
        if privileges.are_limited(cfg, cfg.uid not in (None, os.geteuid())):
            try:
                privileges.prepare()
            except privileges.PrivilegesError as e:
                raise CallError(
                    "config", "\nError: worker_no_new_privs cannot be had, %s. Set it to False to go on without." % e
                ) from None
        # Objects that exist now stay: the collector need not touch them, so that
        # workers go on sharing their pages.
        if cfg.get("preload_app"):
            gc.collect()
        if hasattr(gc, "freeze"):
            gc.freeze()
        self.logging = logsetup.state(self.server.log)
        return {"logger": logsetup.in_python(self.server.log)}

    def _preloaded(self, app: LazyApp, load: bool) -> LazyApp:
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

    def on_slots(self, message: Message, fds: List[int]) -> Answer:
        self.early_slots.setdefault(message["age"], []).extend(fds)
        return None

    def on_spawn(self, message: Message, fds: List[int]) -> Answer:
        number, age = message["generation"], message["age"]
        if age in self.short_of_fds:
            self.short_of_fds.discard(age)
            wire.close_all(self.early_slots.pop(age, []))
            raise CallError("system", "no descriptors are left in the spawner for a worker", errno=errno.EMFILE)
        generation = self.generations[number]
        self.server.update(message.get("server") or {})
        self.server.cfg, self.server.app = generation.cfg, generation.app.shown
        scoreboard, dump, channel, *slots = fds
        calls = [slots.pop(0)] if message.get("calls") else []
        slots = self.early_slots.pop(age, []) + slots
        fds[:] = [scoreboard, dump, channel, *calls, *slots]  # all of them are closed, whatever happens
        worker = Worker(age, self.server, generation)
        worker.warm_after = message.get("warm_after") or worker.warm_after
        if generation.cfg.own_worker_class is not None:
            from . import workerclass

            self.run_hook(workerclass.adopt, worker, generation.cfg.own_worker_class)
        self.run_hook(generation.cfg.pre_fork, self.server, worker.shown)
        pid = self.fork("a worker", [*fds, generation.queue.fileno()])
        if pid == 0:
            self.child = worker
            worker.attach(scoreboard, dump, channel, slots)
            if calls:
                from . import callconn  # few have pools

                callconn.attach(calls[0])
            worker.environment = None if self.entered == number else self.environment
            return {}
        wire.close_all(fds)
        worker.pid = pid
        self.server.WORKERS[pid] = worker.shown
        return {"pid": pid}

    def fork(self, what: str, keep: Collection[int]) -> int:
        """Forks, with nothing in the buffers that both would write. The new process has
        only those descriptors of this server that it is to keep."""
        flush()
        self.forks.paused = True  # the new process has a guard of its own
        try:
            return self.family.fork(fork, keep)
        except OSError as e:
            raise CallError("fork", "cannot fork %s: %s" % (what, e), errno=e.errno) from None
        finally:
            self.forks.paused = os.getpid() != self.pid

    def _leave(self, keep: Collection[int]) -> None:
        """Closes, in a process that was just forked, the descriptors that it does not keep."""
        set_wakeup_fd(-1)
        wire.close_all(self.wake)
        self.control.sock.close()
        for fds in self.early_slots.values():
            wire.close_all(fds)
        for generation in self.generations.values():
            if generation.queue.fileno() not in keep:
                generation.close()

    def on_logger(self, message: Message, fds: List[int]) -> Answer:
        """Forks the process that writes the lines of the master and the front."""
        cfg = self.generations[message["generation"]].cfg
        pid = self.fork("the logger", fds)
        if pid == 0:
            records, control, dump = fds
            self.child = LoggerProcess(records, control, dump, self.server, cfg)
            privileges.become(cfg)
            return {}
        wire.close_all(fds)
        self.children.loggers.add(pid)
        return {"pid": pid, "level": self.server.log.error_log.getEffectiveLevel()}

    def on_ping(self, message: Message, fds: List[int]) -> Answer:
        """Shows that the spawner lives."""
        return None

    def on_hook(self, message: Message, fds: List[int]) -> Answer:
        generation = self.generations.get(message["generation"])
        if generation:
            function = getattr(generation.cfg, message["hook"])
            self.server.cfg, self.server.app = generation.cfg, generation.app.shown
        else:
            function = self.files[message["generation"]].hooks.get(message["hook"], hooks.nothing)
        self.server.update(message.get("server") or {})
        if message["hook"] in ("on_starting", "when_ready"):
            self.children.note_baseline()
        args = list(message.get("args") or ())
        if message.get("pid"):
            args.append(OtherWorker(self.server, message["pid"], message["age"]))
        self.run_hook(function, self.server, *args)
        if generation:
            before, self.logging = self.logging, logsetup.state(self.server.log)
            return {"logger": self.logging != before and logsetup.in_python(self.server.log)}
        return None

    def run_hook(self, function: Callable[..., object], *args: object) -> None:
        try:
            with self.forks:
                function(*args)
        except BaseException as e:
            code = e.code if isinstance(e, SystemExit) and isinstance(e.code, int) else 1
            text = str(e) or type(e).__name__
            raise CallError("hook", text, app_traceback(e), code) from None

    def on_attributes(self, message: Message, fds: List[int]) -> Answer:
        attributes, lost = carrying.pack(self.server)
        return {"attributes": attributes, "lost": lost}

    def on_adopt(self, message: Message, fds: List[int]) -> Answer:
        with self.forks:
            return {"lost": carrying.unpack(self.server, message["attributes"])}

    def on_release(self, message: Message, fds: List[int]) -> Answer:
        generation = self.generations.pop(message["generation"], None)
        if generation:
            generation.close()
        self.files.pop(message["generation"], None)
        return None

    def on_reopen(self, message: Message, fds: List[int]) -> Answer:
        if self.server.log:
            self.server.log.reopen_files()
        return None

    def on_title(self, message: Message, fds: List[int]) -> Answer:
        # All titles of one master have the same name in their brackets.
        self.set_title(message["title"].partition("[")[2].rstrip("]"))
        return None

    def set_title(self, name: str) -> None:
        self.server.proc_name = name
        title.set("indrik: %s [%s]" % ("dirty-arbiter" if self.arbiter else "spawner", name))

    def on_exit(self, message: Message, fds: List[int]) -> Answer:
        if message.get("linger"):
            self.children.reap()
            if self.children.hooks_left_something():
                return {"lingers": True}
        self.children.forget_others()
        self.leaving = True
        return None

    def on_pool_prepare(self, message: Message, fds: List[int]) -> Answer:
        from . import poolspawning  # few have pools

        return poolspawning.prepare(self, message, fds)

    def on_pool_spawn(self, message: Message, fds: List[int]) -> Answer:
        from . import poolspawning

        return poolspawning.spawn(self, message, fds)

    def on_workers(self, message: Message, fds: List[int]) -> Answer:
        """Takes note of the workers of other spawners."""
        self.server.update(message.get("server") or {})
        self.children.note_others(dict(message.get("workers") or ()))
        return None

    CALLS: Dict[str, Callable[[Spawner, Message, List[int]], Answer]] = {
        "configure": configuring.configure,
        "worker_class": configuring.worker_class,
        "ssl_context": configuring.ssl_context,
        "prepare": on_prepare,
        "ping": on_ping,
        "logger": on_logger,
        "spawn": on_spawn,
        "slots": on_slots,
        "hook": on_hook,
        "attributes": on_attributes,
        "adopt": on_adopt,
        "release": on_release,
        "reopen": on_reopen,
        "title": on_title,
        "workers": on_workers,
        "pool_prepare": on_pool_prepare,
        "pool_spawn": on_pool_spawn,
        "exit": on_exit,
    }


def main(fd: int) -> None:
    title.prepare()
    title.set("indrik: spawner")
    oslevel.write_stacks_to(fd + 2)
    finder.install()
    child = Spawner(wire.Control(fd)).run()
    if child is not None:
        child.main()
