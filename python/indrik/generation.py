"""A generation as its spawner knows it: settings, app, queue, environment."""

import os
import sys

from . import appkind, loader, wire
from .log import app_traceback


class LazyApp:
    """The app, imported when it is first asked for. With stand_in, one that does
    not compile is replaced by one that shows why."""

    def __init__(self, spec, log, stand_in=False, load=loader.load):
        self.app_uri = spec
        self.cfg = None  # for hooks: server.app.cfg
        self._load = load
        self.callable = None
        self.error = None  # the exception that it is replaced for
        self._log = log
        self._stand_in = stand_in

    def wsgi(self):
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


def _shows(text):
    """Returns an app that answers every request with a text."""
    body = text.encode("utf-8", "backslashreplace")

    def app(environ, start_response):
        start_response(
            "500 Internal Server Error",
            [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
        )
        return [body]

    return app


class Environment:
    """The directory, module path and environment of the process, as the
    generation that was entered last wants them."""

    def __init__(self):
        self._start = {}  # the first values of the variables that were set
        self._paths = []  # what was put on sys.path

    def restore(self):
        """Gives the variables that enter set their first values."""
        for name, value in self._start.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def chdir(self, directory, pythonpath=None):
        for path in self._paths:
            if path in sys.path:
                sys.path.remove(path)
        self._paths = []
        os.chdir(directory)
        self._insert(directory)
        for path in (pythonpath or "").split(","):
            if path:
                self._insert(os.path.abspath(path))

    def _insert(self, path):
        if path not in sys.path:
            sys.path.insert(0, path)
            self._paths.append(path)

    def enter(self, cfg):
        self.restore()
        self.chdir(cfg.get("chdir") or os.getcwd(), cfg.get("pythonpath"))
        for name, value in cfg.env.items():
            self._start.setdefault(name, os.environ.get(name))
            os.environ[name] = value


class Generation:
    def __init__(self, number, cfg, app, since, queue):
        self.number = number
        self.since = since  # what its spawner has imported was imported after that
        self.cfg = cfg
        self.app = app
        self.queue = wire.adopt(queue)
        self.terminal = 0  # the process group that may read from it, if workers may

    def close(self):
        self.queue.close()
