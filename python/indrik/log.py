"""The error log: Gunicorn's logger names, format and levels.

The master creates the files, and the front writes the access log; a worker
opens the error log for appending, and again when it is told to.
"""

import logging
import os
import sys
import traceback

FORMAT = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
DATE_FORMAT = "[%Y-%m-%d %H:%M:%S %z]"

LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


def app_traceback(exception):
    """Formats an exception like traceback.format_exc, without the frames of this
    package and of the import system that lead to the app's: an operator looks
    for a mistake in the app."""
    tb = exception.__traceback__
    while tb is not None and _ours(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    text = "".join(traceback.format_exception(type(exception), exception, tb))
    if tb is None and exception.__cause__ is None and exception.__context__ is None:
        text = "Traceback (most recent call last):\n" + text  # so that it is found as one
    return text


def _ours(filename):
    return filename.startswith(("<indrik>", "<frozen importlib")) or filename.endswith(
        os.path.join("importlib", "__init__.py")
    )


class _Formatter(logging.Formatter):
    def formatException(self, ei):
        return app_traceback(ei[1]).rstrip("\n")


class Stream:
    """A text stream onto a descriptor: each write is one write(2), so that the
    lines of several processes do not mix, and a signal handler may log while
    it interrupts a write."""

    encoding = "utf-8"

    def __init__(self, path):
        self.path = path  # None: standard error
        self.fd = 2 if path is None else _open(path)

    def write(self, text):
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self.fd, data) :]
        return len(text)

    def flush(self):
        pass

    def fileno(self):
        return self.fd

    def isatty(self):
        return os.isatty(self.fd)

    def reopen(self):
        if self.path is None:
            return
        fd = _open(self.path)
        # In place: another thread may be about to write to the old number.
        os.dup2(fd, self.fd, inheritable=False)
        os.close(fd)

    def close(self):
        if self.path is not None:
            os.close(self.fd)


def _open(path):
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)


class Errors:
    """wsgi.errors."""

    def __init__(self, log):
        self._log = log

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("%r is not a string" % (text,))
        self._log.stream.write(text)

    def writelines(self, lines):
        self.write("".join(lines))

    def flush(self):
        pass


class Log:
    """What hooks know as server.log and worker.log."""

    def __init__(self):
        self.error_log = logging.getLogger("gunicorn.error")
        self.access_log = logging.getLogger("gunicorn.access")
        self.stream = Stream(None)
        self.cfg = None
        self._handler = None

    def setup(self, cfg):
        """Logs as cfg says from now on; raises OSError, and changes nothing, if
        the file cannot be opened."""
        path = cfg.errorlog
        if path is None or path == "-":
            path = None
        else:
            path = os.path.abspath(path)
        if path != self.stream.path:
            stream, old = Stream(path), self.stream
            if self._handler:
                self._handler.setStream(stream)
            self.stream = stream
            old.close()
        if self._handler is None:
            self._handler = logging.StreamHandler(self.stream)
            self._handler.setFormatter(_Formatter(FORMAT, DATE_FORMAT))
            self.error_log.addHandler(self._handler)
        self.cfg = cfg
        for logger in (self.error_log, self.access_log):
            logger.propagate = False
        self.error_log.setLevel(LEVELS.get(str(cfg.loglevel).lower(), logging.INFO))
        self.access_log.setLevel(logging.INFO)
        for name in ("critical", "error", "warning", "info", "debug", "exception"):
            setattr(self, name, getattr(self.error_log, name))

    @property
    def loglevel(self):
        return self.error_log.level

    def log(self, level, message, *args, **kwargs):
        if isinstance(level, str):
            level = LEVELS.get(level.lower(), logging.INFO)
        self.error_log.log(level, message, *args, **kwargs)

    def reopen_files(self):
        try:
            self.stream.reopen()
        except OSError as e:
            # A worker may not be allowed to: it goes on with the file it has.
            self.error_log.warning("cannot open the error log again: %s", e)


def flush():
    """Empties Python's own buffers, before a fork or an exit that skips them."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # closed, or replaced by the app
