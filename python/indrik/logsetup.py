"""Which logger a process has: the class that the settings name, set up as they say."""

from __future__ import annotations

import importlib
import logging

from .glogging import Logger
from .log import app_traceback
from .logdefaults import LogConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional

    from .config import Config


# The names of the class in glogging.py.
_OURS = ("", "indrik.glogging.Logger", "gunicorn.glogging.Logger")


def class_for(cfg: Config) -> Callable[[Config], Logger]:
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
        found: Callable[[Config], Logger] = getattr(importlib.import_module(module), name)
        return found
    except Exception as e:
        raise LogConfigError("logger_class = %r: importing it failed:\n%s" % (uri, app_traceback(e))) from None


def make(cfg: Config, current: Optional[Logger] = None) -> Logger:
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
        if current is not None and before is not None:
            current.setup(before)
        if isinstance(e, (OSError, LogConfigError)) or not isinstance(e, Exception):
            raise
        raise LogConfigError("%s\n%s" % (e, app_traceback(e))) from None


def in_python(logger: Logger) -> bool:
    """Reports whether only Python code can write the lines as the logger does, so that
    those of the master and the front have to go through it."""
    cfg = logger.cfg
    if cfg.get("logconfig") or cfg.get("logconfig_dict") or cfg.get("logconfig_json"):
        return True
    if not type(logger).__module__.startswith("indrik."):
        return True
    return _touched(logger.error_log, logger.loglevel) or _touched(logger.access_log, logging.INFO)


def _touched(log: logging.Logger, level: int) -> bool:
    """Reports whether the config file, a hook or a preloaded app has changed a logger. (To
    disable it is no such change: dictConfig disables all that are there.)"""
    if log.filters or log.propagate or log.level != level:
        return True
    return any(
        h.filters or not hasattr(h, "_indrik_format") or h.formatter is not h._indrik_format for h in log.handlers
    )


def state(logger: Logger) -> List[Any]:
    """Returns the state of the loggers, to be compared with a later one."""
    return [
        (
            log.level,
            log.propagate,
            list(log.filters),
            [(h, h.level, h.formatter, list(h.filters)) for h in log.handlers],
        )
        for log in (logger.error_log, logger.access_log)
    ]
