"""Requests that a worker makes to its own app before it is ready (the setting warmup): so its
caches are warm, and an app that cannot answer never serves.

They never leave the process: neither the front nor the access log, the metrics, max_requests or
the hooks pre_request and post_request know of them.
"""

from __future__ import annotations

import asyncio
import faulthandler
import sys
import traceback
from io import BytesIO
from time import monotonic
from urllib.parse import unquote_to_bytes, urlsplit

from . import wsgienviron
from .loader import BootError
from .log import app_traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Tuple

    from .asgi import ASGIServer
    from .conversation import Message
    from .worker import Worker

# How much of a response that fails the report shows.
_SHOWN = 2000

# How many seconds after the time limit a process is ended that runs no Python code any more.
_LAST_RESORT = 5

# Statuses from here on fail the worker.
_FAILURE = 400


class Target:
    """A request that the setting names: a path, or a URL whose host and scheme the app sees."""

    def __init__(self, text: str) -> None:
        self.text = text
        parts = urlsplit(text)
        self.scheme = parts.scheme or "http"
        self.host = parts.netloc or "localhost"
        self.name = parts.hostname or "localhost"
        self.port = parts.port or (443 if self.scheme == "https" else 80)
        self.path = parts.path or "/"
        self.query = parts.query

    def headers(self) -> List[Tuple[str, str]]:
        return [("host", self.host), ("user-agent", "indrik (warmup)"), ("accept", "*/*")]


def run(worker: Worker) -> None:
    """Makes the requests one after the other; raises BootError at the first that fails."""
    limit: int = worker.cfg.get("warmup_timeout")
    begun = monotonic()
    for text in worker.cfg.get("warmup"):
        if worker.stopping:
            return
        target = Target(text)
        left = limit - (monotonic() - begun)
        with _Watch(worker, "warmup: GET %s had no answer within warmup_timeout, %d s" % (text, limit), left):
            try:
                status, body = _ask_asgi(worker.asgi, target) if worker.asgi else _ask_wsgi(worker, target)
            except Exception as e:
                raise BootError("warmup: GET %s raised an exception\n%s" % (text, app_traceback(e))) from None
        if _code(status) >= _FAILURE:
            raise BootError("warmup: GET %s was answered with %s\n%s" % (text, status, _shown(body)))
        worker.log.debug("warmup: GET %s was answered with %s", text, status)


def _code(status: str) -> int:
    try:
        return int(status[:3])
    except ValueError:
        return 999


def _shown(body: bytes) -> str:
    text = body[:_SHOWN].decode("utf-8", "backslashreplace")
    return text + ("…" if len(body) > _SHOWN else "")


class _Watch:
    """Ends the process if what it watches takes too long, with the stack of this thread."""

    def __init__(self, worker: Worker, text: str, left: float) -> None:
        self.worker = worker
        self.text = text
        self.left = max(0.001, left)
        start, lock, ident = _thread_functions(worker)
        self.thread: int = ident()
        self.start: Callable[..., Any] = start
        self.ended = lock()
        self.ended.acquire()

    def __enter__(self) -> None:
        self.start(self._watch, ())
        # Where the app is in C code that keeps the GIL, no thread of Python runs.
        faulthandler.dump_traceback_later(self.left + _LAST_RESORT, exit=True, file=self.worker.dump_file)

    def __exit__(self, *_: object) -> None:
        faulthandler.cancel_dump_traceback_later()
        self.ended.release()

    def _watch(self) -> None:
        if not self.ended.acquire(True, self.left):
            frame = sys._current_frames().get(self.thread)
            stack = "" if frame is None else "".join(traceback.format_stack(frame))
            self.worker.give_up(self.text + "\n" + stack)


def _thread_functions(worker: Worker) -> Tuple[Any, Any, Any]:
    """Returns what starts a thread, what makes a lock, and what tells which thread this is, all
    of the system's: those of gevent would wait for a greenlet that does not let go."""
    if worker.is_gevent:
        from gevent.monkey import get_original

        start, lock, ident = get_original("_thread", ["start_new_thread", "allocate_lock", "get_ident"])
        return start, lock, ident
    import _thread

    return _thread.start_new_thread, _thread.allocate_lock, _thread.get_ident


def _ask_wsgi(worker: Worker, target: Target) -> Tuple[str, bytes]:
    """Runs one request in an app of WSGI (PEP 3333)."""
    environ: Dict[str, Any] = wsgienviron.constants(worker)
    environ.update(
        {
            "REQUEST_METHOD": "GET",
            "RAW_URI": target.path + ("?" + target.query if target.query else ""),
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(target.path).decode("latin-1"),
            "QUERY_STRING": target.query,
            "SERVER_NAME": target.name,
            "SERVER_PORT": str(target.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": target.scheme,
            "wsgi.input": BytesIO(),
        }
    )
    for name, value in target.headers():
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    answer: Dict[str, str] = {}
    parts: List[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        answer["status"] = status
        return parts.append

    result = worker.wsgi(environ, start_response)
    try:
        parts.extend(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    return answer.get("status", "no status"), b"".join(parts)


def _ask_asgi(server: ASGIServer, target: Target) -> Tuple[str, bytes]:
    """Runs one request in an app of ASGI, on the loop of its worker."""
    return server.loop.run_until_complete(_request(server, target))


async def _request(server: ASGIServer, target: Target) -> Tuple[str, bytes]:
    scope: Dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": target.scheme,
        "path": unquote_to_bytes(target.path).decode("utf-8", "replace"),
        "raw_path": target.path.encode("ascii", "replace"),
        "query_string": target.query.encode("ascii", "replace"),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in target.headers()],
        "client": ("127.0.0.1", 0),
        "server": (target.name, target.port),
    }
    if server.lifespan is not None and server.lifespan.task is not None:
        scope["state"] = server.state.copy()
    status: List[int] = []
    parts: List[bytes] = []
    over = asyncio.get_running_loop().create_future()
    asked: List[bool] = []

    async def receive() -> Message:
        if not asked:
            asked.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}
        await over
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])
        elif message["type"] == "http.response.body":
            parts.append(bytes(message.get("body", b"")))
            if not message.get("more_body", False) and not over.done():
                over.set_result(None)

    try:
        await server.app(scope, receive, send)
    finally:
        if not over.done():
            over.set_result(None)
    return str(status[0]) if status else "no status", b"".join(parts)
