"""Types for config files and apps, so that an editor and a type checker know what hooks
get. Nothing of the server needs this module.

    from indrik.types import Server, Worker

    def post_fork(server: Server, worker: Worker) -> None:
        server.log.info("worker %s", worker.pid)

docs/hooks.md says when each hook is called, and in which process.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Tuple, Union

__all__ = [
    "ChildExit",
    "Config",
    "Logger",
    "NWorkersChanged",
    "PostRequest",
    "PreRequest",
    "Request",
    "Response",
    "SSLContext",
    "Server",
    "ServerHook",
    "ServerWorkerHook",
    "Worker",
    "WorkerHook",
]

Address = Union[Tuple[str, int], str, int]


class Logger(Protocol):
    """server.log and worker.log: the error log."""

    error_log: logging.Logger
    access_log: logging.Logger

    def critical(self, msg: str, *args: Any, **kwargs: Any) -> None: ...
    def error(self, msg: str, *args: Any, **kwargs: Any) -> None: ...
    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None: ...
    def info(self, msg: str, *args: Any, **kwargs: Any) -> None: ...
    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None: ...
    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None: ...


class Config(Protocol):
    """server.cfg and worker.cfg. Every setting is an attribute."""

    address: List[Address]
    env: Dict[str, str]
    uid: int
    gid: int
    is_ssl: bool
    worker_class_str: str
    settings: Mapping[str, Any]

    def set(self, name: str, value: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...


class Worker(Protocol):
    """A worker, as hooks see it."""

    pid: int
    ppid: int
    age: int
    log: Logger
    cfg: Config
    app: Any
    nr: int  # requests so far
    max_requests: int
    timeout: int
    alive: bool  # False: it is replaced
    booted: bool
    aborted: bool
    wsgi: Any  # the app, once it is loaded

    def notify(self) -> None: ...


class Server(Protocol):
    """The master, as hooks see it."""

    pid: int
    log: Logger
    cfg: Config
    app: Any
    address: List[Address]
    LISTENERS: List[Any]
    WORKERS: Dict[int, Worker]
    num_workers: int
    worker_age: int
    proc_name: str
    master_name: str
    timeout: int

    def kill_worker(self, pid: int, sig: int) -> None: ...


class Request(Protocol):
    """What pre_request and post_request see of a request. pre_request may change method,
    uri, path, query, scheme and headers."""

    method: str
    uri: str
    path: str
    query: str
    scheme: str
    version: Tuple[int, int]
    headers: List[Tuple[str, str]]
    remote_addr: Tuple[Optional[str], Optional[str]]
    peer_addr: Tuple[Optional[str], Optional[str]]
    body: Any


class Response(Protocol):
    """What post_request sees of a response."""

    status: Optional[str]
    status_code: Optional[int]
    headers: List[Tuple[str, str]]
    headers_sent: bool
    sent: int
    response_length: Optional[int]


ServerHook = Callable[[Server], None]  # on_starting, on_reload, when_ready, pre_exec, on_exit
WorkerHook = Callable[[Worker], None]  # post_worker_init, worker_int, worker_abort
ServerWorkerHook = Callable[[Server, Worker], None]  # pre_fork, post_fork, worker_exit
ChildExit = ServerWorkerHook
NWorkersChanged = Callable[[Server, int, Optional[int]], None]
PreRequest = Callable[[Worker, Request], None]
PostRequest = Callable[[Worker, Request, Dict[str, Any], Response], None]
SSLContext = Callable[[Config, Callable[[], Any]], Any]
