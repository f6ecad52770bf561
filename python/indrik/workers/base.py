"""The worker as a class of one's own sees and changes it.

An object of it is made in the spawner, beside the worker that serves, and is what hooks get
as `worker`. The worker calls its methods where Gunicorn's would; those of this class carry
out what is the server's.
"""

from __future__ import annotations

import signal

from ..compat.hints import WORKER, MissingHint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, List, Optional, Union

    from ..config import Config
    from ..glogging import Logger
    from ..worker import Worker as Serving

__all__ = ["Worker"]


def _of_serving(name: str) -> Any:
    """Returns an attribute that is one of the worker that serves."""

    def get(self: Worker) -> Any:
        return getattr(self.indrik_worker, name)

    def put(self: Worker, value: Any) -> None:
        setattr(self.indrik_worker, name, value)

    return property(get, put)


class Worker(MissingHint):
    _HINTS = WORKER

    # The kind of worker that the class means, None: it means none.
    indrik_kind: Optional[str] = None

    # The worker that serves. Set before __init__ is called.
    indrik_worker: Serving

    SIGNALS: List[int] = [
        getattr(signal, "SIG" + name)
        for name in ("ABRT", "HUP", "QUIT", "INT", "TERM", "USR1", "USR2", "WINCH", "CHLD")
    ]

    pid = _of_serving("pid")
    ppid = _of_serving("ppid")
    alive = _of_serving("alive")
    aborted = _of_serving("aborted")
    booted = _of_serving("booted")
    nr = _of_serving("nr")
    max_requests = _of_serving("max_requests")
    wsgi = _of_serving("wsgi")
    log = _of_serving("log")
    cfg = _of_serving("cfg")
    reloader = _of_serving("reloader")
    server = _of_serving("server")

    def __init__(
        self, age: int, ppid: int, sockets: List[Any], app: Any, timeout: float, cfg: Config, log: Logger
    ) -> None:
        """Called before the fork: it must not change the process. The arguments are
        Gunicorn's; timeout is half of the setting, in seconds."""
        self.age = age
        self.sockets = sockets
        self.app = app
        self.timeout = timeout
        self.tmp = self.indrik_worker.tmp

    def __str__(self) -> str:
        return "<Worker %s>" % self.pid

    @classmethod
    def setup(cls) -> None:
        """Called in the spawner when the class is known."""

    def init_process(self) -> None:
        """Called in the process of the worker. The app is loaded and served in here: a class
        that has this method calls this one at its end."""
        self.indrik_worker.work()

    def init_signals(self) -> None:
        """Called when the worker has directed the signals to its methods."""

    def load_wsgi(self) -> None:
        """Loads the app into the attribute wsgi."""
        self.indrik_worker.load()

    def run(self) -> None:
        """Serves until the worker ends. A class that has this method calls this one."""
        self.indrik_worker.serve()

    def handle_request(self, *args: Any) -> bool:
        """Runs the app for a request, which is one of args. A class that has this method is
        called for each request, with Gunicorn's arguments: (listener, request, connection,
        address), or with threads (request, connection)."""
        for arg in args:
            answer = getattr(arg, "indrik_answer", None)
            if answer is not None:
                answer()
        return True

    def notify(self) -> None:
        """Called again and again while the worker is not busy. Nothing depends on it: the
        master sees on the scoreboard what a worker does."""
        self.tmp.notify()

    def handle_exit(self, sig: Union[int, signal.Signals], frame: Optional[FrameType]) -> None:
        """TERM: the worker ends after the requests that it has."""
        self.indrik_worker.signals.term()

    def handle_quit(self, sig: Union[int, signal.Signals], frame: Optional[FrameType]) -> None:
        """INT or QUIT: the worker ends at once."""
        self.indrik_worker.signals.quit()

    def handle_abort(self, sig: Union[int, signal.Signals], frame: Optional[FrameType]) -> None:
        """ABRT: the worker ends at once, with code 1."""
        self.indrik_worker.signals.abort()

    def handle_usr1(self, sig: Union[int, signal.Signals], frame: Optional[FrameType]) -> None:
        """USR1: log files are opened again."""
        self.log.reopen_files()

    def handle_winch(self, sig: Union[int, signal.Signals], frame: Optional[FrameType]) -> None:
        """WINCH: of no consequence to a worker."""
        self.log.debug("worker: SIGWINCH ignored.")


# Gunicorn's name: cfg.worker_class is compared with it, and shown.
Worker.__module__ = "gunicorn.workers.base"
