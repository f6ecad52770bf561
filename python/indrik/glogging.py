"""The logger of the app's processes, and the base class of loggers of one's own.

A setting such as `logger_class = "myapp.logs.Logger"` names a subclass of Logger:
its interface is that of gunicorn.glogging.Logger. server.log and worker.log are
instances of it.

The lines of the master and the front go through it too, if the logging is
configured by Python code (a class of one's own, or logconfig, logconfig_dict,
logconfig_json): see relay.py. Otherwise they write theirs themselves, which is
faster.
"""

import base64
import binascii
import importlib
import json
import logging
import os
import sys
import threading
import time
import traceback

from .log import (
    Handler,
    JSONAccessFormatter,
    JSONFormatter,
    Stream,
    TraceFormatter,
    app_traceback,
    flush,
    take_uvicorns,
)

DATE_FORMAT = "[%Y-%m-%d %H:%M:%S %z]"

# What logconfig_dict and logconfig_json are put upon, key by key of this level.
CONFIG_DEFAULTS = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {
            "level": "INFO",
            "handlers": ["error_console"],
            "propagate": True,
            "qualname": "gunicorn.error",
        },
        "gunicorn.access": {
            "level": "INFO",
            "handlers": ["console"],
            "propagate": True,
            "qualname": "gunicorn.access",
        },
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "generic",
            "stream": "ext://sys.stdout",
        },
        "error_console": {
            "class": "logging.StreamHandler",
            "formatter": "generic",
            "stream": "ext://sys.stderr",
        },
    },
    "formatters": {
        "generic": {
            "format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
            "datefmt": DATE_FORMAT,
            "class": "logging.Formatter",
        }
    },
}


class LogConfigError(Exception):
    """The logging configuration cannot be used."""


class SafeAtoms(dict):
    """The values of an access log line. Names in braces mean headers, in any
    case; what is not there is "-"."""

    def __init__(self, atoms):
        super().__init__()
        for key, value in atoms.items():
            self[key] = value.replace('"', '\\"') if isinstance(value, str) else value

    def __getitem__(self, key):
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

    def __init__(self, cfg):
        self.error_log = logging.getLogger("gunicorn.error")
        self.error_log.propagate = False
        self.access_log = logging.getLogger("gunicorn.access")
        self.access_log.propagate = False
        self.error_handlers = []
        self.access_handlers = []
        self.logfile = None
        self.lock = threading.Lock()
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg):
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

    def _error_formatter(self, cfg):
        if cfg.get("log_format", "text") == "text":
            return TraceFormatter(self.error_fmt, self.datefmt)
        return JSONFormatter(cfg.get("log_format") == "ecs")

    def _access_formatter(self, cfg):
        if cfg.get("log_format", "text") == "text":
            return logging.Formatter(self.access_fmt)
        return JSONAccessFormatter(cfg.get("log_format") == "ecs")

    def critical(self, msg, *args, **kwargs):
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg, *args, **kwargs):
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg, *args, **kwargs):
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg, *args, **kwargs):
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg, *args, **kwargs):
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg, *args, **kwargs):
        self.error_log.exception(msg, *args, **kwargs)

    def log(self, lvl, msg, *args, **kwargs):
        if isinstance(lvl, str):
            lvl = self.LOG_LEVELS.get(lvl.lower(), logging.INFO)
        self.error_log.log(lvl, msg, *args, **kwargs)

    # The access log

    def atoms(self, resp, req, environ, request_time):
        """Returns what the format of the access log can refer to."""
        status = resp.status
        if isinstance(status, bytes):
            status = status.decode("latin-1")
        if isinstance(status, str):
            status = status.split(None, 1)[0] if status else ""
        micros = (request_time.days * 86400 + request_time.seconds) * 1000000 + request_time.microseconds
        atoms = {
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
        for kind, pairs in (("i", headers), ("o", resp.headers), ("e", environ)):
            if hasattr(pairs, "items"):
                pairs = list(pairs.items())
            atoms.update(("{%s}%s" % (name.lower(), kind), value) for name, value in pairs)
        return atoms

    @property
    def access_log_enabled(self):
        cfg = self.cfg
        if cfg.accesslog or cfg.get("logconfig") or cfg.get("logconfig_dict") or cfg.get("logconfig_json"):
            return True
        return bool(cfg.get("syslog")) and not cfg.get("disable_redirect_access_to_syslog")

    def access(self, resp, req, environ, request_time):
        """Writes the line of a request. It is called for each, by the process
        that relays the front's lines; see access_log_enabled."""
        if not self.access_log_enabled:
            return
        atoms = self.atoms(resp, req, environ, request_time)
        if self.cfg.get("log_format", "text") == "text":
            atoms = self.atoms_wrapper_class(atoms)  # else the formatter escapes them
        try:
            self.access_log.info(self.cfg.access_log_format, atoms)
        except Exception:
            self.error(traceback.format_exc())

    def now(self):
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def _get_user(self, environ):
        scheme, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            decoded = base64.b64decode(value.strip().encode("utf-8")).decode("utf-8", "replace")
        except (ValueError, binascii.Error) as e:
            self.debug("Couldn't get username: %s", e)
            return None
        return decoded.partition(":")[0]

    # Files

    def reopen_files(self):
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
                path = getattr(handler, "baseFilename", None) or stream.path
                self.warning("cannot open the log %s again: %s", path, e)
        if self.logfile:
            try:
                self.logfile.reopen()
            except OSError:
                return  # said above
            self._redirect()

    def close_on_exec(self):
        """Files are always closed on exec here."""

    def _capture(self, cfg):
        """Has what the app prints go to the error log."""
        old, self.logfile = self.logfile, None
        if cfg.get("capture_output") and cfg.errorlog not in (None, "-"):
            self.logfile = Stream(os.path.abspath(cfg.errorlog))
            self._redirect()
        if old:
            old.close()

    def _redirect(self):
        flush()
        for number in (1, 2):
            os.dup2(self.logfile.fileno(), number)

    # Handlers

    def _get_gunicorn_handler(self, log):
        for handler in log.handlers:
            if getattr(handler, "_gunicorn", False):
                return handler
        return None

    def _set_handler(self, log, output, fmt, stream=None):
        """Has log write to a file, to stream (standard error) for "-", to
        nothing for None."""
        old = self._get_gunicorn_handler(log)
        handler = None
        if output is not None:
            path = None if output == "-" else os.path.abspath(output)
            fd = 1 if stream is sys.stdout else 2
            handler = Handler(Stream(path, fd))
            handler._gunicorn = True
            handler.setFormatter(fmt)
            handler._indrik_format = fmt
            log.addHandler(handler)
        if old:
            log.removeHandler(old)
            old.close()

    def _set_syslog_handler(self, log, cfg, fmt, name, wanted=True):
        for handler in list(log.handlers):
            if getattr(handler, "_indrik_syslog", False):
                log.removeHandler(handler)
                handler.close()
        if not wanted:
            return
        from .logconf import syslog_handler

        prefix = cfg.get("syslog_prefix") or str(cfg.proc_name).replace(":", ".")
        handler = syslog_handler(cfg)
        handler._indrik_syslog = True
        handler._indrik_format = logging.Formatter("gunicorn.%s.%s: %s" % (prefix, name, fmt))
        handler.setFormatter(handler._indrik_format)
        log.addHandler(handler)

    def _configure(self, cfg):
        """Applies logconfig_dict, logconfig_json or logconfig."""
        chosen = cfg.get("logconfig_dict")
        if not chosen and cfg.get("logconfig_json"):
            chosen = _from_json(cfg.logconfig_json)
        if not chosen and not cfg.get("logconfig"):
            return
        from .logconf import apply

        # Python code of the app's: it may raise anything.
        try:
            apply(chosen, cfg.get("logconfig"))
        except LogConfigError:
            raise
        except Exception as e:
            cause = e.__cause__
            raise LogConfigError("%s: %s" % (e, cause) if cause and str(cause) not in str(e) else str(e)) from e


def class_for(cfg):
    """Returns the class that logger_class means. Raises LogConfigError."""
    uri = cfg.get("logger_class")
    if isinstance(uri, type):
        return uri
    uri = str(uri or "").strip()
    if uri in ("indrik.statsd.Statsd", "gunicorn.instrument.statsd.Statsd") or (
        uri in _OURS and cfg.get("statsd_host")
    ):
        from .statsd import Statsd

        return Statsd
    if uri in _OURS:
        return Logger
    module, _, name = uri.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as e:
        raise LogConfigError("logger_class = %r: importing it failed:\n%s" % (uri, app_traceback(e))) from None


# The names of the class in this module.
_OURS = ("", "indrik.glogging.Logger", "gunicorn.glogging.Logger")


def make(cfg, current=None):
    """Returns the logger that cfg asks for, set up; current is the one that this
    process has. If that fails the logging stays as it was."""
    kind = class_for(cfg)
    before = current.cfg if current else None
    try:
        if current is not None and type(current) is kind:
            current.setup(cfg)
            current.cfg = cfg  # a setup of one's own may not
            return current
        return kind(cfg)
    except BaseException as e:
        if before is not None:
            current.setup(before)
        if isinstance(e, (OSError, LogConfigError)) or not isinstance(e, Exception):
            raise
        raise LogConfigError("%s\n%s" % (e, app_traceback(e))) from None


def in_python(logger):
    """Tells whether what logger does can only be done by Python code, so that the
    lines of the master and the front have to go through it."""
    cfg = logger.cfg
    if cfg.get("logconfig") or cfg.get("logconfig_dict") or cfg.get("logconfig_json"):
        return True
    if not type(logger).__module__.startswith("indrik."):
        return True
    return _touched(logger.error_log, logger.loglevel) or _touched(logger.access_log, logging.INFO)


def _touched(log, level):
    """Tells whether the config file, a hook or a preloaded app has put something into
    log. (If it was disabled that is not meant: dictConfig does it to all that are
    there.)"""
    if log.filters or log.propagate or log.level != level:
        return True
    return any(
        h.filters or not hasattr(h, "_indrik_format") or h.formatter is not h._indrik_format for h in log.handlers
    )


def state(logger):
    """Returns what is another value once something was put into its loggers."""
    return [
        (
            log.level,
            log.propagate,
            list(log.filters),
            [(h, h.level, h.formatter, list(h.filters)) for h in log.handlers],
        )
        for log in (logger.error_log, logger.access_log)
    ]


def _from_json(path):
    if not os.path.exists(path):
        raise LogConfigError("Error: log config '%s' not found" % path)
    with open(path, encoding="utf-8") as f:
        try:
            config = json.load(f)
        except ValueError as e:
            raise LogConfigError("log config '%s': %s" % (path, e)) from None
    if not isinstance(config, dict):
        raise LogConfigError("log config '%s' is no object" % path)
    return config


def loggers():
    """Returns every logger there is."""
    root = logging.root
    return [root] + [logging.getLogger(name) for name in list(root.manager.loggerDict)]


def _handlers():
    found = []
    for logger in loggers():
        for handler in getattr(logger, "handlers", ()):
            if handler not in found:
                found.append(handler)
            # logging.handlers.MemoryHandler and the like write to another one.
            target = getattr(handler, "target", None)
            if isinstance(target, logging.Handler) and target not in found:
                found.append(target)
    return found


def _reopen(handler):
    handler.acquire()
    try:
        if handler.stream:
            handler.close()
            handler.stream = handler._open()
            # close() took it off the list that is flushed at the end.
            logging._addHandlerRef(handler)
    finally:
        handler.release()
