"""The formatters and handlers of the loggers: streams onto files, tracebacks.

The master creates the files of errorlog and accesslog; a Python process opens
them for appending, and again when it is told to.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback

from . import stdlib, title
from .compat.hints import import_hint
from .files import open_for_appending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Optional, Union


def app_traceback(exception: BaseException) -> str:
    """Formats an exception like traceback.format_exc, without the frames of this
    package and of the import system that lead to the app's: an operator looks
    for a mistake in the app."""
    tb = exception.__traceback__
    while tb is not None and _ours(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    text = "".join(traceback.format_exception(type(exception), exception, tb))
    if tb is None and exception.__cause__ is None and exception.__context__ is None:
        text = "Traceback (most recent call last):\n" + text  # so that it is found as one
    hint = import_hint(exception)
    return text + hint + "\n" if hint else text


def redacted(uri: Optional[str], rules: Optional[Iterable[str]]) -> Optional[str]:
    """Returns the target of a request as the error log may have it: without its query, if
    log_redact has a rule about queries."""
    if uri is None or "?" not in uri or "query:" not in ",".join(rules or ()).lower():
        return uri
    return uri.partition("?")[0] + "?REDACTED"


def _ours(filename: str) -> bool:
    return filename.startswith(("<indrik>", "<frozen importlib")) or filename.endswith(
        os.path.join("importlib", "__init__.py")
    )


_ZONE = os.environ.get("TZ")
_OFFSET = time.localtime().tm_gmtoff
_zone: Union[_Zone, _Fixed, None] = None


def local(seconds: Optional[float]) -> time.struct_time:
    """Returns the time in the zone that the server was started in, which an app may
    change for its process, as Django does."""
    if seconds is None or os.environ.get("TZ") == _ZONE:
        return time.localtime(seconds)
    moment = _first_zone().utcoffset(seconds)
    parts = time.gmtime(seconds + moment)
    return time.struct_time((*parts[:8], 0), {"tm_zone": "", "tm_gmtoff": moment})


class _Fixed:
    """A zone of one offset, for systems that tell no more."""

    def utcoffset(self, seconds: float) -> int:
        return _OFFSET


class _Zone:
    def __init__(self, zone: Any, datetime: Any) -> None:
        self.zone, self.datetime = zone, datetime

    def utcoffset(self, seconds: float) -> int:
        when = self.datetime.datetime.fromtimestamp(seconds, self.zone)
        return int(when.utcoffset().total_seconds())


def _first_zone() -> Union[_Zone, _Fixed]:
    global _zone
    if _zone is None:
        _zone = _Fixed()
        try:
            zoneinfo, datetime = stdlib.load("zoneinfo"), stdlib.load("datetime")
            if _ZONE:
                zone = zoneinfo.ZoneInfo(_ZONE.lstrip(":"))
            else:
                with open("/etc/localtime", "rb") as f:
                    zone = zoneinfo.ZoneInfo.from_file(f)
            _zone = _Zone(zone, datetime)
        except Exception:
            pass  # before Python 3.9, or no file for it
    return _zone


class TraceFormatter(logging.Formatter):
    converter = staticmethod(local)

    def formatException(self, ei: Any) -> str:
        return app_traceback(ei[1]).rstrip("\n")


class JSONFormatter(TraceFormatter):
    """Writes lines as the master and the front do with the same log_format."""

    def __init__(self, ecs: bool) -> None:
        super().__init__()
        self.ecs = ecs

    def format(self, record: logging.LogRecord) -> str:
        process = record.processName  # of the master and the front: see loggerprocess.py
        if process not in ("master", "front"):
            process = title.get()[len("indrik: ") :].partition(" ")[0]
        zone = time.strftime("%z", local(record.created))
        stamp = "%s.%06d%s:%s" % (
            time.strftime("%Y-%m-%dT%H:%M:%S", local(record.created)),
            record.created % 1 * 1e6,
            zone[:3],
            zone[3:],
        )
        level = record.levelname.lower()
        trace = self.formatException(record.exc_info) if record.exc_info and record.exc_info[1] else None
        if self.ecs:
            fields: Dict[str, Any] = {
                "@timestamp": stamp,
                "log.level": level,
                "log.logger": record.name,
                "process.pid": record.process,
                "process.name": process,
                "message": record.getMessage(),
                "ecs.version": "8.11.0",
            }
            if trace:
                fields["error.stack_trace"] = trace
        else:
            fields = {
                "time": stamp,
                "level": level,
                "logger": record.name,
                "pid": record.process,
                "process": process,
                "message": record.getMessage(),
            }
            if trace:
                fields["traceback"] = trace
        return json.dumps(fields)


_ACCESS = (
    # name, name of ECS, atom
    ("remote_addr", "client.address", "h"),
    ("user", "user.name", "u"),
    ("method", "http.request.method", "m"),
    ("host", "url.domain", "{host}i"),
    ("path", "url.path", "U"),
    ("query", "url.query", "q"),
    ("protocol", "http.version", "H"),
    ("status", "http.response.status_code", "s"),
    ("bytes", "http.response.body.bytes", "B"),
    ("duration", "event.duration", "D"),
    ("referer", "http.request.referrer", "f"),
    ("user_agent", "user_agent.original", "a"),
    ("request_id", "http.request.id", "request_id"),
    ("trace_id", "trace.id", "trace_id"),
    ("balancer", "indrik.balancer", "balancer"),
    ("queue", "indrik.queue", "queue"),
    ("app", "indrik.app", "app"),
)


class JSONAccessFormatter(JSONFormatter):
    """Writes lines of the access log, where these go through Python: the record has the
    atoms."""

    def format(self, record: logging.LogRecord) -> str:
        atoms: Any = record.args if isinstance(record.args, dict) else {}
        record.msg, record.args = "", ()
        fields = json.loads(super().format(record))
        for name in ("message", "process", "process.name"):
            fields.pop(name, None)
        for name, ecs, atom in _ACCESS:
            value: Any = atoms.get(atom)
            value = None if value == "-" else value
            if atom == "s" and str(value).isdigit():
                value = int(value)
            elif atom == "D":
                value = (value or 0) * 1000 if self.ecs else (value or 0) / 1e6
            elif atom in ("balancer", "queue", "app") and value is not None:
                value = round(float(value) * 1e9) if self.ecs else float(value)
            elif atom == "H" and self.ecs:
                value = str(value).replace("HTTP/", "")
            fields[ecs if self.ecs else name] = value
        return json.dumps(fields)


class Stream:
    """A text stream onto a descriptor: each write is one write(2), so that the
    lines of several processes do not mix, and a signal handler may log while
    it interrupts a write."""

    encoding = "utf-8"

    def __init__(self, path: Optional[str], fd: int = 2) -> None:
        self.path = path  # None: fd is there already
        self.fd = fd if path is None else open_for_appending(path)

    def write(self, text: str) -> int:
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self.fd, data) :]
        return len(text)

    def flush(self) -> None:
        pass

    def fileno(self) -> int:
        return self.fd

    def isatty(self) -> bool:
        return os.isatty(self.fd)

    def reopen(self) -> None:
        if self.path is None:
            return
        fd = open_for_appending(self.path)
        # In place: another thread may be about to write to the old number.
        os.dup2(fd, self.fd, inheritable=False)
        os.close(fd)

    def close(self) -> None:
        if self.path is not None and self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class StreamHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to a Stream, and closes it at its own end."""

    def close(self) -> None:
        super().close()
        self.stream.close()


class Forwarding(logging.Handler):
    """Has another logger handle its records."""

    def __init__(self, log: logging.Logger) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        if self.log.isEnabledFor(record.levelno):
            self.log.handle(record)


def take_uvicorns(error_log: logging.Logger) -> None:
    """Has uvicorn's loggers, which apps use that are written for it, write to the error log,
    except for the lines of requests, since the front writes one for each."""
    for name, handler in (("uvicorn", Forwarding(error_log)), ("uvicorn.access", logging.NullHandler())):
        log = logging.getLogger(name)
        if any(not getattr(h, "_indrik_uvicorn", False) for h in log.handlers):
            continue  # somebody else has set it up
        vars(handler)["_indrik_uvicorn"] = True
        log.handlers[:] = [handler]
        log.propagate = False
        log.setLevel(error_log.level)


class Errors:
    """wsgi.errors: writes where the handlers of the error log do."""

    def write(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError("%r is not a string" % (text,))
        streams = [h.stream for h in _ERROR_LOG.handlers if hasattr(h, "stream")]
        for stream in streams or [sys.stderr]:
            stream.write(text)
            stream.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        pass


_ERROR_LOG = logging.getLogger("gunicorn.error")


def flush() -> None:
    """Empties Python's own buffers, before a fork or an exit that skips them."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # closed, or replaced by the app
