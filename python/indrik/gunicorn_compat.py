"""Attributes of Gunicorn's objects that Indrik's cannot offer: each gives an error that says
what to do instead."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

_SIGNAL = "send the master a signal instead: os.kill(server.pid, signal.%s)"
_SOCKETS = "the sockets belong to the master and the front; server.address has the addresses"
_MASTER = "that is the business of the master, which is a Go process"
_WORKER = "workers are built in: there is no class to derive from or method to call"

SERVER = {
    "manage_workers": "the master does so by itself",
    "spawn_worker": _SIGNAL % "SIGTTIN",
    "spawn_workers": _SIGNAL % "SIGTTIN",
    "kill_workers": "send signals to the pids in server.WORKERS: os.kill(pid, signal.SIGTERM)",
    "murder_workers": _MASTER,
    "reap_workers": _MASTER,
    "reload": _SIGNAL % "SIGHUP",
    "reexec": _SIGNAL % "SIGUSR2",
    "stop": _SIGNAL % "SIGTERM",
    "halt": _SIGNAL % "SIGTERM",
    "run": _MASTER,
    "start": _MASTER,
    "setup": _MASTER,
    "init_signals": _MASTER,
    "wakeup": _MASTER,
    "SIG_QUEUE": _MASTER,
    "SIGNALS": _MASTER,
    "PIPE": _MASTER,
    "START_CTX": _MASTER,
    "pidfile": "its path is server.cfg.pidfile",
    "dirty_arbiter_pid": "there are no dirty workers",
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
    "accept": _SOCKETS,
    "poller": _SOCKETS,
    "tpool": "the threads of the worker run no pool of futures",
}

LISTENER = dict.fromkeys(("sock", "fileno", "accept", "close", "set_options", "bind"), _SOCKETS)

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


def import_hint(exception: Optional[BaseException]) -> str:
    """Returns the change to make if gunicorn was imported and is not installed, or the
    hint that the loader of the app has left with the exception; "" otherwise."""
    hint: str = getattr(exception, "indrik_hint", "")
    if hint:
        return "Hint: " + hint
    while exception is not None:
        name = getattr(exception, "name", None) or ""
        if isinstance(exception, ImportError) and name.partition(".")[0] == "gunicorn":
            return _HINT
        exception = exception.__cause__
    return ""


_HINT = (
    "Hint: the package gunicorn is not installed, and Indrik does not need it: "
    "write `from indrik.glogging import Logger` for `from gunicorn.glogging import Logger` "
    "and indrik.__version__ for gunicorn.__version__, and remove what else is imported of it"
)
