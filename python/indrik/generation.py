"""A generation as its spawner knows it: settings, app, queue, environment."""

from __future__ import annotations

import os
import sys

from . import appkind, loader, wire
from .log import app_traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Optional

    from .config import Config
    from .glogging import Logger


class LazyApp:
    """The app, imported when it is first asked for. With stand_in, an app that
    does not compile is replaced by one that shows the error."""

    def __init__(
        self, spec: Any, log: Logger, stand_in: bool = False, load: Callable[[str], Any] = loader.load
    ) -> None:
        self.app_uri = spec
        self.cfg: Optional[Config] = None  # for hooks: server.app.cfg
        self._load = load
        self.callable: Any = None
        self.error: Optional[BaseException] = None  # the reason why another app stands in for it
        self._log = log
        self._stand_in = stand_in

    def configure(self, cfg: Config) -> None:
        """Takes note of the settings that hold."""
        self.cfg = cfg

    @property
    def shown(self) -> Any:
        """What hooks and worker classes get as `app`."""
        return self

    def wsgi(self) -> Any:
        if self.callable is None:
            try:
                self.callable = appkind.made(self._load(self.app_uri), self.app_uri, self._log)
            except SyntaxError as e:
                if not self._stand_in:
                    raise
                self._log.exception("%s", e)
                self.error = e
                self.callable = _shows(app_traceback(e))
        return self.callable


def _shows(text: str) -> Callable[..., Iterable[bytes]]:
    """Returns an app that answers every request with a text."""
    body = text.encode("utf-8", "backslashreplace")

    def app(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(
            "500 Internal Server Error",
            [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
        )
        return [body]

    return app


class Environment:
    """The directory, module path and environment of the process, as the
    generation that was entered last wants them."""

    def __init__(self) -> None:
        self._start: Dict[str, Optional[str]] = {}  # the first values of the variables that were set
        self._paths: List[str] = []  # directories that were put on sys.path

    def restore(self) -> None:
        """Gives the variables that enter set their first values."""
        for name, value in self._start.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def chdir(self, directory: str, pythonpath: Optional[str] = None) -> None:
        for path in self._paths:
            if path in sys.path:
                sys.path.remove(path)
        self._paths = []
        os.chdir(directory)
        self._insert(directory)
        for path in (pythonpath or "").split(","):
            if path:
                self._insert(os.path.abspath(path))

    def _insert(self, path: str) -> None:
        if path not in sys.path:
            sys.path.insert(0, path)
            self._paths.append(path)

    def enter(self, cfg: Config) -> None:
        self.restore()
        self.chdir(cfg.get("chdir") or os.getcwd(), cfg.get("pythonpath"))
        for name, value in cfg.env.items():
            self.put(name, value)

    def put(self, name: str, value: str) -> None:
        """Sets a variable until restore."""
        self._start.setdefault(name, os.environ.get(name))
        os.environ[name] = value


class Generation:
    def __init__(self, number: int, cfg: Config, app: LazyApp, since: float, queue: int) -> None:
        self.number = number
        self.since = since  # its spawner has imported nothing before that time
        self.cfg = cfg
        self.app = app
        self.queue = wire.adopt(queue)
        self.metrics = ""  # the directory for the app's metrics, if there is one
        self.terminal = 0  # the process group that may read from the terminal, if workers may

    def close(self) -> None:
        self.queue.close()
