"""Configurations of Python's logging, and syslog. Imported only if the settings ask for
these, since the modules below cost milliseconds."""

from __future__ import annotations

import json
import logging.config
import logging.handlers
import os
import socket

from .files import socket_at
from .logdefaults import CONFIG_DEFAULTS, LogConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    from .config import Config


def from_json(path: str) -> Dict[str, Any]:
    """Returns the configuration in a file. Raises LogConfigError."""
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


def apply(chosen: Optional[Dict[str, Any]], path: str) -> None:
    """Configures Python's logging by a dictionary or else by an ini file."""
    if chosen:
        logging.config.dictConfig({**CONFIG_DEFAULTS, **chosen})
        return
    if not os.path.exists(path):
        raise LogConfigError("Error: log config '%s' not found" % path)
    defaults = {"__file__": path, "here": os.path.dirname(path)}
    logging.config.fileConfig(path, defaults=defaults, disable_existing_loggers=False)


def syslog_handler(cfg: Config) -> SysLogHandler:
    kind, address = parse_syslog_address(cfg.syslog_addr)
    facilities = logging.handlers.SysLogHandler.facility_names
    try:
        facility = facilities[str(cfg.syslog_facility).lower()]
    except KeyError:
        raise LogConfigError("unknown facility name") from None
    try:
        return SysLogHandler(address=address, facility=facility, socktype=kind)
    except OSError as e:
        raise LogConfigError("syslog %s: %s" % (cfg.syslog_addr, e)) from None


class SysLogHandler(logging.handlers.SysLogHandler):
    socket: Any

    def _connect_unixsocket(self, address: str) -> None:
        with socket_at(address) as path:
            super()._connect_unixsocket(path)  # type: ignore[misc]

    def handleError(self, record: logging.LogRecord) -> None:
        """A syslog that is away must not fill the error log with tracebacks; the
        next message finds out whether it is back."""
        if self.socktype == socket.SOCK_STREAM:
            try:
                self.socket.close()
                self.socket = socket.create_connection(self.address, 1)  # type: ignore[arg-type]
            except (OSError, TypeError):
                pass


def parse_syslog_address(addr: Any) -> Tuple[Optional[socket.SocketKind], Any]:
    """Returns the kind of socket, None for either, and the address in the form of SysLogHandler."""
    addr = str(addr)
    if addr.startswith("unix://"):
        path, _, kind = addr[len("unix://") :].partition("#")
        kinds = {"": None, "dgram": socket.SOCK_DGRAM, "stream": socket.SOCK_STREAM}
        if kind not in kinds:
            path, kind = addr[len("unix://") :], ""
        return kinds[kind], path
    scheme, _, rest = addr.partition("://")
    if scheme not in ("udp", "tcp") or not rest:
        raise LogConfigError("invalid syslog address")
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    rest = rest.partition("/")[0]
    host, port = rest, 514
    if rest.startswith("["):
        host, _, tail = rest[1:].partition("]")
        port = tail.lstrip(":") or 514
    elif ":" in rest:
        host, _, port = rest.rpartition(":")
    try:
        return kind, (host.lower() or "localhost", int(port))
    except ValueError:
        raise LogConfigError("%r is not a valid port number." % port) from None
