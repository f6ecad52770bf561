"""Worker classes of one's own: a class that derives from one of indrik.workers means that
kind of worker.

Its methods that set something up run where Gunicorn's would. Those that replace the loop,
which takes requests from the front here and not from sockets, are refused by name: what
they do would be missing in silence.
"""

from __future__ import annotations

import sys
import time

from .compat import util
from .compat.finder import OWN
from .compat.hints import MissingHint
from .log import app_traceback
from .workers.base import Worker as Base

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Type

    from .asgi import ASGIServer
    from .hookview import Request
    from .worker import Worker


class WorkerClassError(Exception):
    """The class cannot serve. The text says why, and what to do."""

    def __init__(self, text: str, traceback: str = "") -> None:
        super().__init__(text)
        self.traceback = traceback


_LOOP = "the front reads requests and writes responses, and the worker takes them from its queue"
_REQUEST = (
    "the hooks pre_request and post_request run around each request, the setting timeout bounds it, "
    "and the environ has the certificate of the client"
)
_AROUND = ". A handle_request() of a worker for WSGI that calls super().handle_request() is fine"
_CERTIFICATE = "the environ has the certificate of the client: SSL_CLIENT_S_DN and others"
_ASGI = "what is to run around the life of the app belongs into run(), init_process() or its lifespan"

# Methods that replace what is the front's or the loop's, and what to do instead.
REFUSED: Dict[str, str] = {
    "accept": _LOOP,
    "handle": _LOOP,
    "listen": _LOOP,
    "run_for_one": _LOOP,
    "run_for_multiple": _LOOP,
    "enqueue_req": _LOOP,
    "finish_request": _LOOP,
    "reuse_connection": _LOOP,
    "on_client_socket_readable": _LOOP,
    "murder_keepalived": _LOOP,
    "get_thread_pool": "a worker with threads starts as many as the setting threads says, and no pool",
    "_wrap_future": "a worker with threads has no futures; timeout 0 bounds no request",
    "server_class": _LOOP,
    "wsgi_handler": _LOOP,
    "serve": _ASGI,
}

# Methods that are never called, though nothing is amiss without them, and why.
UNUSED: Dict[str, str] = {
    "handle_error": "a request that cannot be parsed is answered by the front; errors of the app are in the log",
    "is_parent_alive": "the worker notices the end of the front and of the master by itself",
    "timeout_ctx": "the setting timeout bounds each request",
    "wait": "the worker waits for its queue",
    "callback_notify": "override notify",
    "handle_interrupt": "Gunicorn does not call it either: INT and QUIT call handle_quit",
}


def find(name: str, value: Any) -> Type[Base]:
    """Returns the class that the setting worker_class names, or is. Raises WorkerClassError."""
    if isinstance(value, type):
        found: Any = value
    else:
        try:
            found = util.load_class(name)
        except RuntimeError as e:
            cause = e.__cause__
            # An import that failed within a module of the app's has lines to show.
            traceback = app_traceback(cause) if isinstance(cause, ImportError) else ""
            raise WorkerClassError(str(e), traceback) from None
        except Exception as e:
            raise WorkerClassError(
                "class uri %r invalid or not found: importing it failed:" % name, app_traceback(e)
            ) from None
    if not isinstance(found, type) or not issubclass(found, Base):
        raise WorkerClassError("class uri %r invalid or not found: %s" % (name, _no_worker(found)))
    if found.indrik_kind is None:
        raise WorkerClassError(
            "class uri %r: what derives from gunicorn.workers.base.Worker alone has a loop of its own, and %s. "
            "Derive from SyncWorker, ThreadWorker, GeventWorker, ASGIWorker or UvicornWorker" % (name, _LOOP)
        )
    _check(name, found)
    return found


def _no_worker(found: Any) -> str:
    for cls in getattr(found, "__mro__", ()):
        hint = _OTHERS.get(cls.__module__.partition(".")[0])
        if hint:
            return hint
    return "it is no class that derives from one of indrik.workers or gunicorn.workers"


# What to take instead of the classes of other servers, by their package.
_OTHERS = {
    "aiohttp": "an app of aiohttp is neither of WSGI nor of ASGI, and cannot be run here",
    "meinheld": "meinheld is a server of its own: 'sync' or 'gthread' runs the same apps",
    "eventlet": "eventlet is gone from Gunicorn as well: gevent does the same",
    "hypercorn": "'asgi' runs the same apps",
}


def _own(cls: type) -> Iterator[type]:
    """Yields the classes of the app's, from the class itself to those that it derives from."""
    for c in cls.__mro__:
        if c is not object and not _is_ours(c):
            yield c


# Classes of others whose job is done here: what they replace need not be looked at.
_REPLACED = ("geventwebsocket.gunicorn.workers",)


def _is_ours(cls: type) -> bool:
    return cls.__module__ in OWN or cls.__module__ in _REPLACED or cls.__module__.startswith("indrik.")


def _check(name: str, cls: type) -> None:
    """Raises WorkerClassError for a class that replaces the loop."""
    for c in _own(cls):
        for method, instead in REFUSED.items():
            if method in vars(c):
                raise WorkerClassError("worker class %s: its %s() cannot run here: %s" % (name, method, instead))
        request = vars(c).get("handle_request")
        if request is not None:
            problem = _CERTIFICATE if "getpeercert" in _names_in(request) else _REQUEST
            if (
                problem is _CERTIFICATE
                or getattr(cls, "indrik_kind", None) in ("asgi", "tornado")
                or not _calls_super(request, "handle_request", c)
            ):
                raise WorkerClassError(
                    "worker class %s: its handle_request() cannot run here: %s%s"
                    % (name, problem, "" if problem is _CERTIFICATE else _AROUND)
                )
        serve = vars(c).get("_serve")
        if serve is not None and not (_is_asgi(cls) and _calls_super(serve, "_serve", c)):
            raise WorkerClassError(
                "worker class %s: its _serve() cannot run here: it starts a server of its own, and %s. %s. "
                "A _serve() of a worker for ASGI that calls super()._serve() is fine" % (name, _LOOP, _ASGI)
            )
        run = vars(c).get("run")
        if run is not None and not _calls_super(run, "run", c):
            raise WorkerClassError(
                "worker class %s: its run() is a loop of its own, and %s. A run() that calls super().run() is fine"
                % (name, _LOOP)
            )


def _is_asgi(cls: type) -> bool:
    return getattr(cls, "indrik_kind", None) == "asgi"


def _calls_super(function: Any, name: str, cls: type) -> bool:
    """Reports whether a method calls the method of that name of a class above its own."""
    if not hasattr(getattr(function, "__wrapped__", function), "__code__"):
        return True  # not Python's, or made by something: it is called, and may say so
    names = _names_in(function)
    return name in names and not names.isdisjoint({"super", *(c.__name__ for c in cls.__mro__[1:])})


def _names_in(function: Any) -> Set[str]:
    """Returns the names that a function uses, none if it is not one of Python's."""
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    return set() if code is None else _names(code)


def _names(code: CodeType) -> Set[str]:
    names = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names |= _names(constant)
    return names


def remarks(name: str, cls: type) -> List[str]:
    """Returns what is to be said of the class: its methods that are not called."""
    return [
        "worker class %s: its %s() is not called: %s" % (name, method, why)
        for method, why in UNUSED.items()
        if any(method in vars(c) for c in _own(cls))
    ]


def options(cls: Type[Base]) -> Dict[str, Any]:
    """Returns uvicorn's options that the class sets, without those that say nothing."""
    given = dict(getattr(cls, "CONFIG_KWARGS", None) or {})
    plain = {"loop": "auto", "http": "auto", "ws": "auto", "lifespan": "auto", "interface": "auto"}
    return {key: value for key, value in given.items() if value is not None and plain.get(key) != value}


def adopt(worker: Worker, cls: Type[Base]) -> None:
    """Gives a worker that is about to be forked its object of the class."""
    arguments: Any = (
        worker.age,
        worker.ppid,
        worker.sockets,
        worker.app.shown,
        worker.timeout / 2,
        worker.cfg,
        worker.log,
    )
    own: Base = cls.__new__(cls)
    own.indrik_worker = worker
    worker.own = own
    own.__init__(*arguments)  # type: ignore[misc]


def overrides(own: Optional[Base], name: str) -> bool:
    """Reports whether a class of one's own has a method of that name."""
    return own is not None and any(name in vars(c) for c in _own(type(own)))


class Connection(MissingHint):
    """Stands for the connection that handle_request gets of Gunicorn, which only the front has."""

    _HINTS = {
        **dict.fromkeys(("fileno", "recv", "send", "sendall", "close", "settimeout", "sock"), _LOOP),
        "getpeercert": _CERTIFICATE,
    }


def request_runner(own: Base) -> Optional[Callable[[Request, Callable[[], None]], None]]:
    """Returns what runs a request by the handle_request of a class of one's own, None if it has
    none. The function that it is given runs the app: super().handle_request() calls it."""
    if not overrides(own, "handle_request"):
        return None
    handle: Any = own.handle_request
    kind, listener = type(own).indrik_kind, own.sockets[0] if own.sockets else None

    def run(req: Request, answer: Callable[[], None]) -> None:
        vars(req)["indrik_answer"] = answer
        client = Connection()
        if kind == "gthread":
            handle(req, client)
        else:
            handle(str(listener) if kind == "gevent" else listener, req, client, req.peer_addr)

    return run


class Beat:
    """Calls a worker's notify every so many seconds, from the thread that serves: Gunicorn's
    workers do so while they wait, and classes of one's own make a heartbeat of it."""

    def __init__(self, call: Callable[[], object], every: float) -> None:
        self.call = call
        self.every = every
        self._next = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self.every
            self.call()

    def in_loop(self, server: ASGIServer) -> None:
        """Calls it from an event loop, until that is to end."""
        if not server.stopping:
            self()
            server.loop.call_later(self.every, self.in_loop, server)


def beat_of(worker: Worker) -> Optional[Beat]:
    """Returns the beat of a worker whose class has a notify of its own, or None."""
    own = worker.own
    if own is None or not overrides(own, "notify"):
        return None
    every = 1.0
    if type(own).indrik_kind in ("sync", "asgi"):  # as often as Gunicorn's and uvicorn's
        every = min(max(1.0, worker.timeout / 2), float(sys.maxsize)) if worker.timeout else 1.0

    def call() -> None:
        own.notify()
        worker.heed()

    return Beat(call, every)
