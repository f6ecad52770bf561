"""Attributes of Gunicorn's objects that Indrik's cannot offer: each gives an error that says
what to do instead."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

_SIGNAL = "send the master a signal instead: os.kill(server.pid, signal.%s)"
SOCKETS = "the sockets belong to the master and the front; server.address has the addresses"
MASTER = "that is the business of the master, which is a Go process"
_WORKER = "a worker of Indrik's own class has no method to call; derive from a class of indrik.workers to change it"

SERVER = {
    "manage_workers": "the master does so by itself",
    "spawn_worker": _SIGNAL % "SIGTTIN",
    "spawn_workers": _SIGNAL % "SIGTTIN",
    "kill_workers": "send signals to the pids in server.WORKERS: os.kill(pid, signal.SIGTERM)",
    "murder_workers": MASTER,
    "reap_workers": MASTER,
    "reload": _SIGNAL % "SIGHUP",
    "reexec": _SIGNAL % "SIGUSR2",
    "stop": _SIGNAL % "SIGTERM",
    "halt": _SIGNAL % "SIGTERM",
    "run": MASTER,
    "start": MASTER,
    "setup": MASTER,
    "init_signals": MASTER,
    "wakeup": MASTER,
    "SIG_QUEUE": MASTER,
    "SIGNALS": MASTER,
    "PIPE": MASTER,
    "START_CTX": MASTER,
    "pidfile": "its path is server.cfg.pidfile",
    "dirty_arbiter_pid": "the spawner of dirty workers belongs to the master",
}

WORKER = {
    "PIPE": "there is no pipe to the master",
    "rfd": "there is no pipe to the master",
    "wfd": "there is no pipe to the master",
    "init_process": _WORKER,
    "init_signals": _WORKER,
    "load_wsgi": _WORKER,
    "run": _WORKER,
    "handle": _WORKER,
    "handle_request": _WORKER,
    "handle_error": _WORKER,
    "accept": SOCKETS,
    "poller": SOCKETS,
    "tpool": "the threads of the worker run no pool of futures",
}

LISTENER = dict.fromkeys(("sock", "fileno", "accept", "close", "set_options", "bind"), SOCKETS)

CONFIG = {
    "worker_class_class": _WORKER,
    "parser": "the command line is read by the master; the values are attributes of this object",
    "ssl_options": "the certificates are read by the master: see certfile, keyfile, ca_certs and ciphers",
    "paste_global_conf": "see raw_paste_global_conf",
}


class MissingHint:
    """Gives a class an error text for attributes that Gunicorn's class has and it has not."""

    _HINTS: Dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        hint = self._HINTS.get(name)
        if hint is None:
            raise AttributeError("%r object has no attribute %r" % (type(self).__name__, name))
        raise AttributeError("Indrik has no %s.%s: %s" % (type(self).__name__.lower(), name, hint))


class _Elsewhere(type):
    """The class of the names that can be imported, annotated with and derived from, and no
    more than that."""

    _hint = ""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("%s.%s is not there with Indrik: %s" % (cls.__module__, cls.__qualname__, cls._hint))


def elsewhere(name: str, hint: str) -> Any:
    """Returns what stands for a class or a function of Gunicorn's. Its call raises
    NotImplementedError with what to do instead."""
    module, _, short = name.rpartition(".")
    return _Elsewhere(short, (), {"__module__": module, "_hint": hint})


def import_hint(exception: Optional[BaseException]) -> str:
    """Returns the change to make if an import of Gunicorn's failed, or the hint that the
    loader of the app has left with the exception; "" otherwise."""
    hint: str = getattr(exception, "indrik_hint", "")
    if hint:
        return "Hint: " + hint
    while exception is not None:
        name = getattr(exception, "name", None) or ""
        if isinstance(exception, ImportError) and name.startswith(_ROOMS):
            return _HINT
        exception = exception.__cause__
    return ""


# The modules that imports of Gunicorn's find, by their own names, as errors have them.
_ROOMS = (
    "gunicorn",
    "indrik.compat",
    "indrik.app",
    "indrik.workers",
    "indrik.glogging",
    "indrik.statsd",
    "indrik.pools",
)

_HINT = (
    "Hint: of Gunicorn's modules Indrik has what config files, apps and programs import of them, and this is not "
    "among it: remove the import, or install gunicorn beside Indrik if the code needs it as a library"
)
