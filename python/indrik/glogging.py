"""The logger of the app's processes, and the base class of loggers of one's own.

A setting such as `logger_class = "myapp.logs.Logger"` names a subclass of Logger:
its interface is that of gunicorn.glogging.Logger. server.log and worker.log are
instances of it.

The lines of the master and the front go through it too, if the logging is
configured by Python code (a class of one's own, or logconfig, logconfig_dict,
logconfig_json): see loggerprocess.py. Otherwise they write theirs themselves, which is
faster.
"""

from __future__ import annotations

import binascii
import logging
import os
import sys
import threading
import time
import traceback

from .log import (
    JSONAccessFormatter,
    JSONFormatter,
    Stream,
    StreamHandler,
    TraceFormatter,
    flush,
    take_uvicorns,
)
from .logdefaults import CONFIG_DEFAULTS, DATE_FORMAT, LogConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Dict, List, Mapping, Optional, TextIO, Tuple

    from .config import Config

# The names that gunicorn.glogging has too, for loggers of one's own.
__all__ = ["CONFIG_DEFAULTS", "DATE_FORMAT", "LogConfigError", "Logger", "SafeAtoms", "loggers"]


class SafeAtoms(dict):  # type: ignore[type-arg]
    """The values of an access log line. Names in braces mean headers, in any
    case; an unknown name has the value "-"."""

    def __init__(self, atoms: Mapping[str, Any]) -> None:
        super().__init__()
        for key, value in atoms.items():
            self[key] = value.replace('"', '\\"') if isinstance(value, str) else value

    def __getitem__(self, key: str) -> Any:
        if key.startswith("{"):
            key = key.lower()
        return self.get(key, "-")


class Logger:
    LOG_LEVELS = {
        "critical": logging.CRITICAL,
        "error": logging.ERROR,
        "warning": logging.WARNING,
        "info": logging.INFO,
        "debug": logging.DEBUG,
    }
    loglevel = logging.INFO

    error_fmt = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = DATE_FORMAT
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"

    atoms_wrapper_class = SafeAtoms

    def __init__(self, cfg: Config) -> None:
        self.error_log = logging.getLogger("gunicorn.error")
        self.error_log.propagate = False
        self.access_log = logging.getLogger("gunicorn.access")
        self.access_log.propagate = False
        self.error_handlers: List[logging.Handler] = []
        self.access_handlers: List[logging.Handler] = []
        self.logfile: Optional[Stream] = None
        self.lock = threading.Lock()
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg: Config) -> None:
        """Logs as cfg says from now on. Raises OSError or LogConfigError."""
        self.cfg = cfg
        self.loglevel = self.LOG_LEVELS.get(str(cfg.loglevel).lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        self._set_handler(self.error_log, cfg.errorlog or None, self._error_formatter(cfg))
        self._capture(cfg)
        self._set_handler(self.access_log, cfg.accesslog or None, self._access_formatter(cfg), sys.stdout)
        to_syslog = bool(cfg.get("syslog"))
        self._set_syslog_handler(self.error_log, cfg, self.syslog_fmt, "error", to_syslog)
        to_syslog = to_syslog and not cfg.get("disable_redirect_access_to_syslog")
        self._set_syslog_handler(self.access_log, cfg, self.syslog_fmt, "access", to_syslog)
        take_uvicorns(self.error_log)
        self._configure(cfg)

    def _error_formatter(self, cfg: Config) -> logging.Formatter:
        if cfg.get("log_format", "text") == "text":
            return TraceFormatter(self.error_fmt, self.datefmt)
        return JSONFormatter(cfg.get("log_format") == "ecs")

    def _access_formatter(self, cfg: Config) -> logging.Formatter:
        if cfg.get("log_format", "text") == "text":
            return logging.Formatter(self.access_fmt)
        return JSONAccessFormatter(cfg.get("log_format") == "ecs")

    def critical(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.exception(msg, *args, **kwargs)

    def log(self, lvl: Any, msg: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(lvl, str):
            lvl = self.LOG_LEVELS.get(lvl.lower(), logging.INFO)
        self.error_log.log(lvl, msg, *args, **kwargs)

    # The access log

    def atoms(self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: timedelta) -> Dict[str, Any]:
        """Returns the values that the format of the access log can refer to."""
        status = resp.status
        if isinstance(status, bytes):
            status = status.decode("latin-1")
        if isinstance(status, str):
            status = status.split(None, 1)[0] if status else ""
        micros = (request_time.days * 86400 + request_time.seconds) * 1000000 + request_time.microseconds
        atoms: Dict[str, Any] = {
            "h": environ.get("REMOTE_ADDR", "-"),
            "l": "-",
            "u": self._get_user(environ) or "-",
            "t": self.now(),
            "r": "%s %s %s" % (environ["REQUEST_METHOD"], environ["RAW_URI"], environ["SERVER_PROTOCOL"]),
            "s": status,
            "m": environ.get("REQUEST_METHOD"),
            "U": environ.get("PATH_INFO"),
            "q": environ.get("QUERY_STRING"),
            "H": environ.get("SERVER_PROTOCOL"),
            "b": "-" if getattr(resp, "sent", None) is None else str(resp.sent),
            "B": getattr(resp, "sent", None),
            "f": environ.get("HTTP_REFERER", "-"),
            "a": environ.get("HTTP_USER_AGENT", "-"),
            "T": micros // 1000000,
            "D": micros,
            "M": micros // 1000,
            "L": "%d.%06d" % divmod(micros, 1000000),
            "p": "<%s>" % getattr(resp, "pid", os.getpid()),
        }
        headers = getattr(req, "headers", req)
        groups: List[Tuple[str, Any]] = [("i", headers), ("o", resp.headers), ("e", environ)]
        for kind, pairs in groups:
            if hasattr(pairs, "items"):
                pairs = list(pairs.items())
            atoms.update(("{%s}%s" % (name.lower(), kind), value) for name, value in pairs)
        known = getattr(resp, "atoms", None)
        if isinstance(known, dict):
            atoms.update(known)
        return atoms

    @property
    def access_log_enabled(self) -> bool:
        cfg = self.cfg
        if cfg.accesslog or cfg.get("logconfig") or cfg.get("logconfig_dict") or cfg.get("logconfig_json"):
            return True
        return bool(cfg.get("syslog")) and not cfg.get("disable_redirect_access_to_syslog")

    def access(self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: timedelta) -> None:
        """Writes the line of a request. It is called for each, by the process that
        writes the lines of the front; see access_log_enabled."""
        if not self.access_log_enabled:
            return
        atoms = self.atoms(resp, req, environ, request_time)
        if self.cfg.get("log_format", "text") == "text":
            atoms = self.atoms_wrapper_class(atoms)  # else the formatter escapes them
        try:
            self.access_log.info(self.cfg.access_log_format, atoms)
        except Exception:
            self.error(traceback.format_exc())

    def now(self) -> str:
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def _get_user(self, environ: Mapping[str, Any]) -> Optional[str]:
        scheme, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            decoded = binascii.a2b_base64(value.strip().encode("utf-8")).decode("utf-8", "replace")
        except (ValueError, binascii.Error) as e:
            self.debug("Couldn't get username: %s", e)
            return None
        return decoded.partition(":")[0]

    # Files

    def reopen_files(self) -> None:
        """Opens every file again by its path, after a rotation."""
        for handler in _handlers():
            stream = getattr(handler, "stream", None)
            try:
                if isinstance(stream, Stream):
                    stream.reopen()
                elif isinstance(handler, logging.FileHandler):
                    _reopen(handler)
            except OSError as e:
                # A worker may not be allowed to: it goes on with the file it has.
                path = getattr(handler, "baseFilename", None) or getattr(stream, "path", None)
                self.warning("cannot open the log %s again: %s", path, e)
        if self.logfile:
            try:
                self.logfile.reopen()
            except OSError:
                return  # said above
            self._redirect(self.logfile)

    def close_on_exec(self) -> None:
        """Files are always closed on exec here."""

    def _capture(self, cfg: Config) -> None:
        """Has the prints of the app go to the error log."""
        old, self.logfile = self.logfile, None
        if cfg.get("capture_output") and cfg.errorlog not in (None, "-"):
            self.logfile = Stream(os.path.abspath(cfg.errorlog))
            self._redirect(self.logfile)
        if old:
            old.close()

    def _redirect(self, logfile: Stream) -> None:
        flush()
        for fd in (1, 2):
            os.dup2(logfile.fileno(), fd)

    # Handlers

    def _get_gunicorn_handler(self, log: logging.Logger) -> Optional[logging.Handler]:
        for handler in log.handlers:
            if getattr(handler, "_gunicorn", False):
                return handler
        return None

    def _set_handler(
        self, log: logging.Logger, output: Optional[str], fmt: logging.Formatter, stream: Optional[TextIO] = None
    ) -> None:
        """Has log write to a file, to stream (standard error) for "-", to
        nothing for None."""
        old = self._get_gunicorn_handler(log)
        handler = None
        if output is not None:
            path = None if output == "-" else os.path.abspath(output)
            fd = 1 if stream is sys.stdout else 2
            handler = StreamHandler(Stream(path, fd))
            handler.setFormatter(fmt)
            vars(handler).update(_gunicorn=True, _indrik_format=fmt)
            log.addHandler(handler)
        if old:
            log.removeHandler(old)
            old.close()

    def _set_syslog_handler(self, log: logging.Logger, cfg: Config, fmt: str, name: str, wanted: bool = True) -> None:
        for handler in list(log.handlers):
            if getattr(handler, "_indrik_syslog", False):
                log.removeHandler(handler)
                handler.close()
        if not wanted:
            return
        from .logconf import syslog_handler

        prefix = cfg.get("syslog_prefix") or str(cfg.proc_name).replace(":", ".")
        handler = syslog_handler(cfg)
        formatter = logging.Formatter("gunicorn.%s.%s: %s" % (prefix, name, fmt))
        handler.setFormatter(formatter)
        vars(handler).update(_indrik_syslog=True, _indrik_format=formatter)
        log.addHandler(handler)

    def _configure(self, cfg: Config) -> None:
        """Applies logconfig_dict, logconfig_json or logconfig."""
        if not (cfg.get("logconfig_dict") or cfg.get("logconfig_json") or cfg.get("logconfig")):
            return
        from .logconf import apply, from_json

        chosen = cfg.get("logconfig_dict")
        if not chosen and cfg.get("logconfig_json"):
            chosen = from_json(cfg.logconfig_json)
        if not chosen and not cfg.get("logconfig"):
            return
        # Handlers and formatters are code of the app's, which may raise anything.
        try:
            apply(chosen, cfg.get("logconfig"))
        except LogConfigError:
            raise
        except Exception as e:
            cause = e.__cause__
            raise LogConfigError("%s: %s" % (e, cause) if cause and str(cause) not in str(e) else str(e)) from e


def loggers() -> List[Any]:
    """Returns every logger there is."""
    root = logging.root
    return [root] + [logging.getLogger(name) for name in list(root.manager.loggerDict)]


def _handlers() -> List[logging.Handler]:
    found: List[logging.Handler] = []
    for logger in loggers():
        for handler in getattr(logger, "handlers", ()):
            if handler not in found:
                found.append(handler)
            # logging.handlers.MemoryHandler and the like write to another handler.
            target = getattr(handler, "target", None)
            if isinstance(target, logging.Handler) and target not in found:
                found.append(target)
    return found


def _reopen(handler: logging.FileHandler) -> None:
    handler.acquire()
    try:
        if handler.stream:
            handler.close()
            handler.stream = handler._open()
            # close() took it off the list that is flushed at the end.
            logging._addHandlerRef(handler)  # type: ignore[attr-defined]
    finally:
        handler.release()
