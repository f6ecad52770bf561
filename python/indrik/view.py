"""What hooks get as `server`, and what hangs on it."""

import os

from .gunicorn_compat import LISTENER, SERVER, WORKER, MissingHint


def parse_address(bind):
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

    def __init__(self, bind, server):
        self._bind = bind
        self._server = server
        self.cfg_addr = parse_address(bind)

    def getsockname(self):
        return self.cfg_addr

    def __str__(self):
        if self._bind.startswith("unix:"):
            return self._bind
        return ("https://" if self._server.cfg.is_ssl else "http://") + self._bind


class Heartbeat:
    """worker.tmp of Gunicorn. The scoreboard does its job here."""

    def notify(self):
        pass

    def last_update(self):
        import time

        return time.monotonic()

    def close(self):
        pass


class OtherWorker(MissingHint):
    """A worker that another spawner has forked."""

    _HINTS = WORKER

    def __init__(self, server, pid, age):
        self.server, self.pid, self.age = server, pid, age
        self.cfg, self.log, self.ppid = server.cfg, server.log, server.pid
        self.alive = self.booted = True
        self.aborted = False
        self.tmp = Heartbeat()

    def __str__(self):
        return "<Worker %s>" % self.pid


class Server(MissingHint):
    """The master, as hooks see it."""

    _HINTS = SERVER

    WORKER_BOOT_ERROR = 3
    APP_LOAD_ERROR = 4

    def __init__(self):
        self.log = None
        self.cfg = None
        self.app = None
        self.pid = os.getppid()
        self.master_pid = 0
        self.reexec_pid = 0
        self.address = []
        self.LISTENERS = []
        self.num_workers = 0
        self.worker_age = 0
        self.proc_name = ""
        self.master_name = "Master"
        self.systemd = False
        self.WORKERS = {}  # pid: worker
        self._own = frozenset(vars(self)) | {"_own"}  # the others are put here by hooks

    @property
    def timeout(self):
        return self.cfg.timeout

    @property
    def worker_class(self):
        return self.cfg.worker_class

    def update(self, fields):
        """Takes over what the master says of itself."""
        for name in ("pid", "num_workers", "proc_name", "master_name"):
            if name in fields:
                setattr(self, name, fields[name])
        if "address" in fields:
            self.address = [parse_address(bind) for bind in fields["address"]]
            if not self.address and self.cfg:
                self.address = self.cfg.address  # nothing is bound yet
            self.LISTENERS = [Listener(bind, self) for bind in fields["address"]]

    def kill_worker(self, pid, sig):
        """Sends a worker a signal."""
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass
