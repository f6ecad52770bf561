"""The calls of a spawner that forks the workers of pools, and nothing else. The standard library is
not patched in it, and it holds no app: those of pools are loaded in their workers.
"""

from __future__ import annotations

import json
import os

from . import appmetrics, logsetup, privileges, wire
from .calls import CallError
from .compat.hints import SERVER, MissingHint
from .config import Config, ConfigFile
from .log import app_traceback, flush
from .logdefaults import LogConfigError
from .poolworker import PoolWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from .calls import Answer, Message
    from .glogging import Logger
    from .spawner import Spawner

# How much of what the process says is read that looks at the classes of apps, in bytes: it runs
# code of the app's.
_MAX_ANSWER = 64 << 10

# The most workers that the class of an app may ask for.
_MAX_WORKERS = 1000


class Arbiter(MissingHint):
    """What hooks of dirty workers get as `arbiter`."""

    _HINTS = SERVER

    def __init__(self, spawner: Spawner, cfg: Config) -> None:
        self.cfg = cfg
        self.log: Logger = spawner.server.log
        self.pid = os.getpid()
        self.ppid = os.getppid()
        self.alive = True
        self.num_workers = cfg.get("dirty_workers")
        self.worker_age = 0
        self.workers: Dict[int, Any] = spawner.server.WORKERS  # by pid
        self.generation = 0
        self.metrics = ""


def prepare(spawner: Spawner, message: Message, fds: List[int]) -> Answer:
    """Makes the spawner one of pools, and finds out how many workers the classes of apps ask
    for."""
    file = spawner.files.get(message["generation"]) or ConfigFile()
    cfg = Config(message["settings"], file, message.get("app"), message.get("kind"))
    server = spawner.server
    try:
        spawner.environment.enter(cfg)
        server.log = logsetup.make(cfg, server.log)
    except (OSError, LogConfigError) as e:
        raise CallError("config", "\nError: %s" % e) from None
    metrics = appmetrics.choose(message.get("app_metrics"), server.log)
    appmetrics.use(metrics, spawner.environment.put)
    server.cfg = cfg
    server.update(message.get("server") or {})
    arbiter = Arbiter(spawner, cfg)
    arbiter.generation, arbiter.metrics = message["generation"], metrics
    spawner.arbiter = spawner.children.arbiter = arbiter
    spawner.set_title(server.proc_name)
    arbiter.log.info("Dirty arbiter starting (pid: %s)", arbiter.pid)
    spawner.run_hook(cfg.on_dirty_starting, arbiter)
    return {"app_workers": _ask_classes(spawner, cfg, message.get("apps") or ())}


def _ask_classes(spawner: Spawner, cfg: Config, apps: Any) -> Dict[str, int]:
    """Returns how many workers the classes ask for by their attribute workers. A process of its own
    looks at them, with the rights of a worker: it runs code of the app's."""
    if not apps:
        return {}
    reader, writer = os.pipe()
    pid = spawner.fork("a process that looks at the apps", [writer])
    if pid == 0:
        os.close(reader)
        _look_at_classes(cfg, spawner.server.log, apps, writer)
    os.close(writer)
    text = b""
    try:
        while len(text) <= _MAX_ANSWER:
            part = os.read(reader, _MAX_ANSWER)
            if not part:
                break
            text += part
    finally:
        os.close(reader)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass
    try:
        asked = json.loads(text)
        return {
            app: number
            for app, number in asked.items()
            if app in apps and isinstance(number, int) and 0 < number <= _MAX_WORKERS
        }
    except (ValueError, AttributeError):
        return {}


def _look_at_classes(cfg: Config, log: Logger, apps: Any, writer: int) -> None:
    """Writes what the classes ask for, and ends the process."""
    try:
        privileges.become(cfg)
        from .pools.app import get_app_workers_attribute

        asked = {}
        for app in apps:
            try:
                asked[app] = get_app_workers_attribute(app)
            except BaseException as e:
                log.warning("Could not read workers attribute from %s: %s", app, e)
        os.write(writer, json.dumps(asked, default=str).encode())
    except BaseException as e:
        log.warning("Could not look at the apps of pools:\n%s", app_traceback(e))
    finally:
        flush()
        os._exit(0)


def spawn(spawner: Spawner, message: Message, fds: List[int]) -> Answer:
    """Forks a worker of a pool."""
    arbiter = spawner.arbiter
    if arbiter is None or arbiter.generation != message["generation"]:
        raise CallError("system", "this spawner has no pools")
    age = message["age"]
    arbiter.worker_age = age
    spawner.server.update(message.get("server") or {})
    worker = PoolWorker(
        age, arbiter, spawner.server, message["pool"], message["apps"], message.get("environment") or {}
    )
    pid = spawner.fork("a worker of a pool", fds)
    if pid == 0:
        spawner.child = worker
        worker.attach(*fds)
        return {}
    wire.close_all(fds)
    worker.pid = pid
    arbiter.workers[pid] = worker
    try:
        spawner.run_hook(arbiter.cfg.dirty_post_fork, arbiter, worker)
    except CallError as e:
        arbiter.log.error("Exception in dirty_post_fork hook\n%s", e.fields["traceback"])
    arbiter.log.info("Spawned %s (pid: %s) with apps: %s", worker.kind, pid, message["apps"])
    return {"pid": pid}
