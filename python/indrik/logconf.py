"""What only some logging configurations need; imported by glogging.py then, since
the modules below cost milliseconds."""

import logging.config
import logging.handlers
import os
import socket

from .files import socket_at
from .glogging import CONFIG_DEFAULTS, LogConfigError


def apply(chosen, path):
    """Configures Python's logging by a dictionary or else by an ini file."""
    if chosen:
        logging.config.dictConfig({**CONFIG_DEFAULTS, **chosen})
        return
    if not os.path.exists(path):
        raise LogConfigError("Error: log config '%s' not found" % path)
    defaults = {"__file__": path, "here": os.path.dirname(path)}
    logging.config.fileConfig(path, defaults=defaults, disable_existing_loggers=False)


def syslog_handler(cfg):
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
    def _connect_unixsocket(self, address):
        with socket_at(address) as path:
            super()._connect_unixsocket(path)

    def handleError(self, record):
        """A syslog that is away must not fill the error log with tracebacks; the
        next message finds out whether it is back."""
        if self.socktype == socket.SOCK_STREAM:
            try:
                self.socket.close()
                self.socket = socket.create_connection(self.address, 1)
            except (OSError, TypeError):
                pass


def parse_syslog_address(addr):
    """Returns the kind of socket, None for either, and what SysLogHandler takes for an address."""
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
