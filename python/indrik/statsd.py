"""The logger with statsd_host: it counts what it logs, and sends the metrics that
calls to it carry as extra={"metric": name, "value": v, "mtype": kind}.

The master sends the number of workers and the front the metrics of requests; both
in Go. Each metric is one datagram.
"""

from __future__ import annotations

import logging
import socket

from .files import socket_at
from .glogging import Logger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple

    from .config import Config

METRIC_VAR = "metric"
VALUE_VAR = "value"
MTYPE_VAR = "mtype"
GAUGE_TYPE = "gauge"
COUNTER_TYPE = "counter"
HISTOGRAM_TYPE = "histogram"
TIMER_TYPE = "timer"


class Statsd(Logger):
    def __init__(self, cfg: Config) -> None:
        self.sock: Optional[socket.socket] = None
        self.prefix = ""
        self.dogstatsd_tags: Optional[str] = None
        super().__init__(cfg)

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        prefix = (cfg.get("statsd_prefix") or "").rstrip(".")
        self.prefix = prefix + "." if prefix else ""
        self.dogstatsd_tags = cfg.get("dogstatsd_tags")
        old, self.sock = self.sock, _connect(cfg.get("statsd_host"))
        if old:
            old.close()

    def critical(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        Logger.critical(self, msg, *args, **kwargs)
        self.increment("gunicorn.log.critical", 1)

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        Logger.error(self, msg, *args, **kwargs)
        self.increment("gunicorn.log.error", 1)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        Logger.warning(self, msg, *args, **kwargs)
        self.increment("gunicorn.log.warning", 1)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        Logger.exception(self, msg, *args, **kwargs)
        self.increment("gunicorn.log.exception", 1)

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.log(logging.INFO, msg, *args, **kwargs)

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.log(logging.DEBUG, msg, *args, **kwargs)

    def log(self, lvl: Any, msg: Any, *args: Any, **kwargs: Any) -> None:
        try:
            extra = kwargs.get("extra")
            if extra is not None:
                self._metric(extra.get(METRIC_VAR), extra.get(VALUE_VAR), extra.get(MTYPE_VAR))
            # A call may be about the metric alone.
            if msg:
                Logger.log(self, lvl, msg, *args, **kwargs)
        except Exception:
            Logger.warning(self, "Failed to log to statsd", exc_info=True)

    def _metric(self, name: Any, value: Any, kind: Any) -> None:
        if name is None or value is None or kind is None:
            return
        send = {
            GAUGE_TYPE: self.gauge,
            COUNTER_TYPE: self.increment,
            HISTOGRAM_TYPE: self.histogram,
            TIMER_TYPE: self.timer,
        }.get(kind)
        if send:
            send(name, value)

    def gauge(self, name: str, value: Any) -> None:
        self._sock_send("%s%s:%s|g" % (self.prefix, name, value))

    def increment(self, name: str, value: Any, sampling_rate: float = 1.0) -> None:
        self._sock_send("%s%s:%s|c|@%s" % (self.prefix, name, value, sampling_rate))

    def decrement(self, name: str, value: Any, sampling_rate: float = 1.0) -> None:
        self._sock_send("%s%s:-%s|c|@%s" % (self.prefix, name, value, sampling_rate))

    def timer(self, name: str, value: Any) -> None:
        self._sock_send("%s%s:%s|ms" % (self.prefix, name, value))

    def histogram(self, name: str, value: Any) -> None:
        self._sock_send("%s%s:%s|h" % (self.prefix, name, value))

    def _sock_send(self, msg: str) -> None:
        if self.dogstatsd_tags:
            msg += "|#" + self.dogstatsd_tags
        if not self.sock:
            return
        try:
            self.sock.send(msg.encode("utf-8", "backslashreplace"))
        except Exception:
            Logger.warning(self, "Error sending message to statsd", exc_info=True)


def address(host: Any) -> Tuple[int, Any]:
    """Returns the family and the address that a statsd_host means."""
    if not isinstance(host, str):
        return socket.AF_INET, tuple(host)
    if host.startswith("unix:"):
        return socket.AF_UNIX, host[len("unix:") :].replace("//", "", 1)
    name, colon, port = host.rpartition(":")
    if not colon:
        name, port = host, "8125"
    return socket.AF_INET, (name.lower(), int(port))


def _connect(host: Any) -> Optional[socket.socket]:
    if not host:
        return None
    sock = None
    try:
        family, where = address(host)
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_UNIX:
            with socket_at(where) as path:
                sock.connect(path)
        else:
            sock.connect(where)
        return sock
    except Exception:
        if sock:
            sock.close()
        return None
