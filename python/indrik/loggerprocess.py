"""The process that writes the lines of the master and the front, where the logging
is configured by Python code: handlers, formatters and filters of one's own then see
every line of the server.

It is forked by the spawner once the logging is configured, reads records from a
socket (docs/protocol.md), and ends when the last process has closed the other end.
"""

from __future__ import annotations

import json
import logging
import os
import signal
from select import POLLIN, poll

from . import hooks, log, oslevel, stdlib, title, wire
from .compat.hints import MissingHint
from .hookview import Request
from .protocol import MAX_MESSAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from .config import Config
    from .view import Server

_METHODS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}


class LoggedResponse(MissingHint):
    """A response as Logger.access gets it."""

    def __init__(self, fields: Dict[str, Any]) -> None:
        self.status: str = fields["status"]
        code = self.status.partition(" ")[0]
        self.status_code = int(code) if code.isdigit() else None
        self.headers = [(str(name), str(value)) for name, value in fields.get("response") or ()]
        self.sent = fields.get("sent", 0)
        self.pid = fields["pid"]
        lengths = [v for n, v in self.headers if n.lower() == "content-length"]
        self.response_length = int(lengths[0]) if lengths and lengths[0].isdigit() else None
        self.headers_sent = True
        self.atoms: Dict[str, str] = fields.get("atoms") or {}  # that only the front knows


class LoggerProcess:
    def __init__(self, records: int, control: int, dump: int, server: Server, cfg: Config) -> None:
        self.sock = wire.adopt(records)
        self.control = wire.Control(control)
        self.dump = dump
        self.server = server
        self.cfg = cfg
        self.log = server.log
        self.timedelta = stdlib.load("datetime").timedelta
        self.stamp: Dict[str, Any] = {}  # the process and the time for the next record

    def main(self) -> None:
        title.prepare()
        title.set("indrik: logger [%s]" % self.server.proc_name)
        for name in hooks.MASTER_SIGNALS:
            signal.signal(getattr(signal, name), hooks.nothing)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, lambda number, frame: self.log.reopen_files())
        if getattr(self.log, "sock", None) is not None:
            vars(self.log)["sock"] = None  # the master and the front count their lines themselves
        self._stamp_records()
        oslevel.write_stacks_to(self.dump)
        waits = poll()
        waits.register(self.sock, POLLIN)
        waits.register(self.control, POLLIN)
        while True:
            # Between two lines: the master sees a line that takes for ever, and not that there
            # are many.
            ready = [fd for fd, _ in waits.poll()]
            if self.control.fileno() in ready and not self.answer():
                waits.unregister(self.control)
            if self.sock.fileno() not in ready:
                continue
            data = self.sock.recv(MAX_MESSAGE)
            if not data:
                break
            try:
                self.write(json.loads(data))
            except Exception as e:
                logging.getLogger("gunicorn.error").error("Exception in the logger\n%s", log.app_traceback(e))
        logging.shutdown()
        log.flush()
        os._exit(0)

    def answer(self) -> bool:
        """Tells the master that this process works; False once the master is gone."""
        try:
            if self.control.receive() is None:
                return False
        except BlockingIOError:
            return True
        self.control.send("ok")
        return True

    def _stamp_records(self) -> None:
        """Gives records the process and the time of their sender."""
        make = logging.getLogRecordFactory()

        def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = make(*args, **kwargs)
            if self.stamp:
                record.process = self.stamp["pid"]
                record.processName = self.stamp["role"]
                created = self.stamp["time"]
                record.created = created
                record.msecs = (created - int(created)) * 1000
            return record

        logging.setLogRecordFactory(factory)

    def write(self, fields: Dict[str, Any]) -> None:
        self.stamp = fields
        if "message" in fields:
            getattr(self.log, _METHODS.get(fields["level"], "info"))(fields["message"])
            return
        environ: Dict[str, Any] = fields.get("environ") or {}
        for name, value in fields.get("request") or ():
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = "HTTP_" + key
            environ[key] = environ[key] + "," + value if key in environ else value
        environ["wsgi.input"] = None
        request = Request(environ)
        request.headers = [(name.upper(), value) for name, value in fields.get("request") or ()]
        took = self.timedelta(microseconds=fields["micros"])
        self.log.access(LoggedResponse(fields), request, environ, took)
