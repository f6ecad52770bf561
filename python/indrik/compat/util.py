"""gunicorn.util: what apps, config files and programs call of it."""

from __future__ import annotations

import errno
import fcntl
import importlib
import os
import socket
import sys

from ..loader import load
from ..view import parse_address as _parse_address
from .finder import OWN
from .hints import MASTER, elsewhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple, Union

CHUNK_SIZE = 16 * 1024
REDIRECT_TO = os.devnull

# Fields that are of one connection, RFC 9110 section 7.6.1.
hop_headers = frozenset(
    (
        "connection",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "server",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
    )
)

daemonize = elsewhere("gunicorn.util.daemonize", "the setting daemon does that")
set_owner_process = elsewhere("gunicorn.util.set_owner_process", "the settings user and group do that")
write = elsewhere("gunicorn.util.write", MASTER)
write_error = elsewhere("gunicorn.util.write_error", MASTER)


def import_app(module: str) -> Any:
    """Returns the app that a text such as "module:app" or "module:factory()" names."""
    return load(module)


def load_class(uri: Any, default: str = "", section: str = "gunicorn.workers") -> Any:
    """Returns the class that is named: by its path, by egg:DISTRIBUTION#NAME, or as one of
    the kinds of worker. Raises RuntimeError."""
    if isinstance(uri, type):
        return uri
    from ..workers import SUPPORTED_WORKERS

    name = SUPPORTED_WORKERS.get(uri.replace("egg:gunicorn#", ""), uri)
    try:
        if name.startswith("egg:"):
            distribution, _, point = name[len("egg:") :].partition("#")
            return _entry_point(distribution, section, point or default)
        module, _, attribute = name.replace(":", ".").rpartition(".")
        return getattr(importlib.import_module(OWN.get(module, module)), attribute)
    except (ImportError, AttributeError, ValueError) as e:
        raise RuntimeError("class uri %r invalid or not found: %s" % (uri, e)) from e


def _entry_point(distribution: str, group: str, name: str) -> Any:
    from importlib import metadata

    for point in metadata.distribution(distribution).entry_points:
        if point.group == group and point.name == name:
            return point.load()
    raise ImportError("the distribution %s has no entry point %r in %s" % (distribution, name, group))


def parse_address(netloc: str, default_port: str = "8000") -> Union[str, int, Tuple[str, int]]:
    """Returns (host, port), the path of a unix socket, or the number of a descriptor."""
    address = _parse_address(netloc)
    if isinstance(address, tuple) and not netloc.rpartition(":")[2].isdigit():
        return address[0], int(default_port)
    return address


def is_ipv6(addr: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, addr)
        return True
    except (OSError, ValueError):
        return False


def getcwd() -> str:
    """Returns the current directory by the path that the shell went, where that leads to it."""
    try:
        path, here = os.stat(os.environ["PWD"]), os.stat(os.getcwd())
        if (path.st_ino, path.st_dev) == (here.st_ino, here.st_dev):
            return os.environ["PWD"]
    except (KeyError, OSError):
        pass
    return os.getcwd()


def http_date(timestamp: Optional[float] = None) -> str:
    """Returns a time, of now by default, in the form of the field Date."""
    from email.utils import formatdate  # it costs milliseconds

    return formatdate(timestamp, localtime=False, usegmt=True)


def is_hoppish(header: str) -> bool:
    return header.lower().strip() in hop_headers


def close(sock: Any) -> None:
    try:
        sock.close()
    except OSError:
        pass


def close_on_exec(fd: Any) -> None:
    os.set_inheritable(fd if isinstance(fd, int) else fd.fileno(), False)


def set_non_blocking(fd: Any) -> None:
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)


def unlink(filename: str) -> None:
    try:
        os.unlink(filename)
    except OSError as e:
        if e.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise


def chown(path: str, uid: int, gid: int) -> None:
    os.chown(path, uid, gid)


def get_username(uid: int) -> str:
    import pwd

    return pwd.getpwuid(uid).pw_name


def check_is_writable(path: str) -> None:
    try:
        with open(path, "a"):
            pass
    except OSError as e:
        raise RuntimeError("Error: '%s' isn't writable [%r]" % (path, e)) from e


def to_bytestring(value: Union[str, bytes], encoding: str = "utf8") -> bytes:
    return value if isinstance(value, bytes) else value.encode(encoding)


def bytes_to_str(b: Union[str, bytes]) -> str:
    return b if isinstance(b, str) else str(b, "latin1")


def warn(msg: str) -> None:
    print("!!!\n!!! WARNING: %s\n!!!\n" % msg.rstrip("\n").replace("\n", "\n!!! "), file=sys.stderr, flush=True)
