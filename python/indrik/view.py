"""The object that hooks get as `server`, with its listeners and other workers."""

from __future__ import annotations

import os

from .compat.hints import LISTENER, SERVER, WORKER, MissingHint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Tuple, Union

    from .config import Config
    from .generation import LazyApp
    from .glogging import Logger

    Address = Union[str, int, Tuple[str, int]]


def parse_address(bind: str) -> Address:
    """Returns an address of the setting bind as Gunicorn has it in cfg.address:
    (host, port), the path of a unix socket, or the number of a descriptor."""
    if bind.startswith("unix:"):
        path = bind[len("unix:") :]
        return path[2:] if path.startswith("//") else path
    if bind.startswith("fd://"):
        number = bind[len("fd://") :]
        return int(number) if number.isdigit() else bind
    rest = bind[len("tcp://") :] if bind.startswith("tcp://") else bind
    host, port = rest, ""
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.lstrip(":")
    elif ":" in rest:
        host, _, port = rest.rpartition(":")
    return (host.lower() or "0.0.0.0", int(port) if port.isdigit() else 8000)


class Listener(MissingHint):
    """A listening socket, which only the master and the front have."""

    _HINTS = LISTENER

    def __init__(self, bind: str, server: Server) -> None:
        self._bind = bind
        self._server = server
        self.cfg_addr = parse_address(bind)

    def getsockname(self) -> Address:
        return self.cfg_addr

    def __str__(self) -> str:
        if self._bind.startswith("unix:"):
            return self._bind
        return ("https://" if self._server.cfg.is_ssl else "http://") + self._bind


class Heartbeat:
    """worker.tmp of Gunicorn. The scoreboard does its job here."""

    def notify(self) -> None:
        pass

    def last_update(self) -> float:
        import time

        return time.monotonic()

    def close(self) -> None:
        pass


class OtherWorker(MissingHint):
    """A worker that another spawner has forked."""

    _HINTS = WORKER

    def __init__(self, server: Server, pid: int, age: int) -> None:
        self.server, self.pid, self.age = server, pid, age
        self.cfg, self.log, self.ppid = server.cfg, server.log, server.pid
        self.alive = self.booted = True
        self.aborted = False
        self.tmp = Heartbeat()

    def __str__(self) -> str:
        return "<Worker %s>" % self.pid


class Server(MissingHint):
    """The master, as hooks see it."""

    _HINTS = SERVER

    WORKER_BOOT_ERROR = 3
    APP_LOAD_ERROR = 4

    def __init__(self) -> None:
        # None only until the first generation is prepared.
        self.log: Logger = None  # type: ignore[assignment]
        self.cfg: Config = None  # type: ignore[assignment]
        self.app: LazyApp = None  # type: ignore[assignment]
        self.pid = os.getppid()
        self.master_pid = 0
        self.reexec_pid = 0
        self.address: List[Any] = []
        self.LISTENERS: List[Listener] = []
        self.num_workers = 0
        self.worker_age = 0
        self.proc_name = ""
        self.master_name = "Master"
        self.systemd = False
        self.WORKERS: Dict[int, Any] = {}  # by pid
        self._own = frozenset(vars(self)) | {"_own"}  # hooks set the others

    @property
    def timeout(self) -> Any:
        return self.cfg.timeout

    @property
    def worker_class(self) -> Any:
        return self.cfg.worker_class

    def update(self, fields: Mapping[str, Any]) -> None:
        """Takes over the attributes that the master has told."""
        for name in ("pid", "num_workers", "proc_name", "master_name"):
            if name in fields:
                setattr(self, name, fields[name])
        if "address" in fields:
            self.address = [parse_address(bind) for bind in fields["address"]]
            if not self.address and self.cfg:
                self.address = self.cfg.address  # nothing is bound yet
            self.LISTENERS = [Listener(bind, self) for bind in fields["address"]]

    def kill_worker(self, pid: int, sig: int) -> None:
        """Sends a worker a signal."""
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass
