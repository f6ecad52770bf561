"""The calls of a spawner that lead to the settings of a generation: its config file or
program, its worker class, its hook ssl_context."""

from __future__ import annotations

import sys

from . import monkey
from .calls import CallError
from .config import Config, ConfigError, ConfigFile, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, NoReturn

    from .app.base import BaseApplication
    from .calls import Answer, Message
    from .spawner import Spawner


def configure(spawner: Spawner, message: Message, fds: List[int]) -> Answer:
    """Evaluates the config file, or runs a program until that calls run()."""
    spawner.entered = None
    spawner.environment.restore()
    try:
        if message.get("chdir"):
            spawner.environment.chdir(message["chdir"])
        if message.get("kind") == "gevent":
            patch("gevent")  # the config file imports things, too
        with spawner.forks:
            file = ConfigFile(message.get("config_file"))
            if message.get("program"):
                _run_program(spawner, message, file)
        answer = file.report()
    except ConfigError as e:
        raise CallError("config", str(e), e.traceback, e.code) from None
    except OSError as e:
        raise CallError("config", "\nError: %s" % e) from None
    spawner.keep(file, message["generation"])
    return answer


def _run_program(spawner: Spawner, message: Message, file: ConfigFile) -> None:
    """Runs a program. Within its call of run() this spawner serves the master to its end,
    and a worker lives: the code behind that call is run by both, as with Gunicorn."""
    from . import program  # few are one

    def serve(application: BaseApplication) -> NoReturn:
        settings = program.ProgramSettings(application, file)
        spawner.keep(settings, message["generation"])
        spawner.listen()
        spawner.control.send("ok", call=message["call"], **settings.report())
        child = spawner.run()
        if child is not None:
            child.main()
        sys.exit()

    program.execute(message["program"], serve)


def worker_class(spawner: Spawner, message: Message, fds: List[int]) -> Answer:
    """Imports a worker class of one's own, and says which kind of worker it means."""
    from . import workerclass  # few have one

    file = spawner.files[message["generation"]]
    cfg = Config(message["settings"], file, message.get("app"), message.get("kind"))
    name = str(cfg.get("worker_class"))
    try:
        spawner.environment.enter(cfg)
        with spawner.forks:
            found = workerclass.find(name, file.object("worker_class"))
            if found.indrik_kind == "gevent":
                patch(name)
            found.setup()
    except workerclass.WorkerClassError as e:
        raise CallError("config", "\nError: %s" % e, e.traceback) from None
    except OSError as e:
        raise CallError("config", "\nError: %s" % e) from None
    file.worker_class = found
    return {
        "kind": found.indrik_kind,
        "class": "%s.%s" % (found.__module__, found.__qualname__),
        "settings": plain(workerclass.options(found)),
        "remarks": workerclass.remarks(name, found),
    }


def ssl_context(spawner: Spawner, message: Message, fds: List[int]) -> Answer:
    """Calls the hook ssl_context."""
    from . import tlshook  # only here: ssl costs milliseconds

    file = spawner.files[message["generation"]]
    cfg = Config(message["settings"], file, message.get("app"), message.get("kind"))
    try:
        spawner.environment.enter(cfg)
        with spawner.forks:
            values = tlshook.evaluate(file.hooks["ssl_context"], cfg)
    except tlshook.TLSHookError as e:
        raise CallError("config", "\nError: %s" % e, e.traceback) from None
    except OSError as e:
        raise CallError("config", "\nError: %s" % e) from None
    return {"settings": values}


def patch(name: str) -> None:
    """Patches the standard library for workers of kind gevent; name is what they are called."""
    try:
        monkey.patch(name)
    except monkey.PatchError as e:
        raise CallError("config", str(e)) from None
