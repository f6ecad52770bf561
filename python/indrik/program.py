"""Programs in Python that start the server: those that call run() of an application that
derives from BaseApplication.

Called as a program of its own, run() replaces the process by the server, and names the
program to it. The spawner of each generation then runs the program again, until that comes
to run(): the app and the settings are those that it has there. What the program does
behind run(), such as a finally, it does at the end of the spawner and of each worker, as
with Gunicorn.
"""

from __future__ import annotations

import os
import sys

from . import stdlib
from .config import ConfigError, ConfigFile, of_gunicorn
from .generation import LazyApp
from .launch import LaunchError, start
from .log import app_traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, NoReturn, Optional, Sequence

    from .app.base import BaseApplication
    from .config import Config
    from .glogging import Logger

# In a spawner that runs a program: what goes on when that has come to run().
_serve: Optional[Callable[[BaseApplication], NoReturn]] = None


def serve(application: BaseApplication) -> NoReturn:
    """Starts the server for an application, or goes on with it in the spawner."""
    global _serve
    if _serve is not None:
        go_on, _serve = _serve, None
        go_on(application)
    if "indrik.spawner" in sys.modules:
        raise LaunchError(
            "run() of %s was called while the server imports the app: put the call under "
            '`if __name__ == "__main__":`, or start the program itself: indrik PROGRAM.py' % type(application).__name__
        )
    start(_words())


def _words() -> List[str]:
    """Returns the words of a command line that name this program and its arguments."""
    main = sys.modules["__main__"]
    spec, path = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None:  # python -m
        name = spec.name[: -len(".__main__")] if spec.name.endswith(".__main__") else spec.name
        return ["python:" + name, *_arguments("-m")]
    if path is None:
        raise LaunchError("the program has no file that the server could run again")
    return ["file:" + os.path.abspath(path), *_arguments(path)]


def _arguments(before: str) -> List[str]:
    """Returns the arguments that the program was called with; it may have changed sys.argv.
    before is the word, or the option, that names it to the interpreter."""
    words: Optional[Sequence[str]] = getattr(sys, "orig_argv", None)  # from Python 3.10 on
    if words is None:
        try:
            with open("/proc/self/cmdline", "rb") as f:
                words = [os.fsdecode(word) for word in f.read().split(b"\0")[:-1]]
        except OSError:
            return sys.argv[1:]
    for i, word in enumerate(words[1:], 1):
        if word == before == "-m":
            return list(words[i + 2 :])
        if before != "-m" and os.path.abspath(word) == os.path.abspath(before):
            return list(words[i + 1 :])
    return sys.argv[1:]


class ProgramError(ConfigError):
    """The program has not come to run()."""


def execute(words: Sequence[str], then: Callable[[BaseApplication], NoReturn]) -> NoReturn:
    """Runs a program. Raises ProgramError if it ends or fails before it has called run() of
    an application; then is called with that."""
    global _serve
    _serve = then
    runpy = stdlib.load("runpy")
    name = words[0].partition(":")[2]
    sys.argv[:] = [name, *words[1:]]
    try:
        if words[0].startswith("python:"):
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(name))
            runpy.run_path(name, run_name="__main__")
    except SystemExit as e:
        if _serve is None:
            raise  # the server's, on its way out of the program
        code = e.code if isinstance(e.code, int) else int(e.code is not None)
        text = "" if e.code is None or isinstance(e.code, int) else str(e.code)
        raise ProgramError(
            text or "%s has ended with code %d, and started no server" % (name, code), "", code
        ) from None
    except BaseException as e:
        if _serve is None:
            raise
        raise ProgramError("Error while running %s:" % name, app_traceback(e)) from None
    raise ProgramError(
        "%s has ended, and started no server: it calls run() of no application that derives from "
        "gunicorn.app.base.BaseApplication" % name
    )


class ProgramSettings(ConfigFile):
    """The settings of an application, in the place of a config file."""

    def __init__(self, application: BaseApplication, above: ConfigFile) -> None:
        """above is the config file that the command line names, if any: it goes above."""
        super().__init__()
        self.application = application
        for name, setting in application.cfg.settings.items():
            if not setting.known:
                self.further[name] = setting.get()
            elif setting.is_set and setting.form == "hook":
                self.hooks[name] = setting.get()
            elif setting.is_set:
                self.values[name] = setting.get()
        self.values.update({**of_gunicorn(), **above.values})
        self.hooks.update(above.hooks)
        self.lines, self.wrong = above.lines, above.wrong

    def app(self, spec: Any, log: Logger) -> LazyApp:
        return ProgramApp(spec, log, self.application)


class ProgramApp(LazyApp):
    """The app of a program."""

    def __init__(self, spec: Any, log: Logger, application: BaseApplication) -> None:
        super().__init__(spec, log, load=lambda name: application.wsgi())
        self.application = application

    @property
    def shown(self) -> Any:
        return self.application

    def configure(self, cfg: Config) -> None:
        super().configure(cfg)
        self.application.cfg = cfg
