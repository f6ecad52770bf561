"""What Indrik runs inside the app's own interpreter: the spawner, and the
workers that it forks. Installed beside the program, the same package is what apps and
config files import.

The master starts `python -c BOOTSTRAP` with a control socket at descriptor 3
and the source of this package at descriptor 4; nothing is written to disk, and an
installed package, of whatever version, is not looked at. docs/protocol.md describes every
message.

It needs the standard library alone, of CPython 3.8 or later or of PyPy. It
never reads a byte from a client: requests come parsed from the front, and
responses go back to it unframed.

Public are the names in __all__, indrik.pools, indrik.types, indrik.glogging and indrik.statsd.
"""

import os

__all__ = ["LaunchError", "deadline", "disconnected", "extend_deadline", "run"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Tuple, Union

    from .launch import LaunchError, run

    __version__: str
    version_info: Tuple[Union[int, str], ...]


def _version() -> str:
    name, _, version = os.environ.get("SERVER_SOFTWARE", "").partition("/")
    if name == "indrik":
        return version
    from importlib import metadata

    try:
        return metadata.version("indrik")
    except metadata.PackageNotFoundError:
        return ""


def disconnected(environ: "Mapping[str, Any]") -> bool:
    """Reports whether the client of a request has gone, so that the rest of the work is for
    nobody. environ is that of the request, of a worker of the kind sync, gthread or gevent."""
    gone: bool = _function(environ, "indrik.disconnected")()
    return gone


def deadline(environ: "Mapping[str, Any]") -> "Optional[float]":
    """Returns the time by time.monotonic(), in seconds, at which the setting timeout ends
    the request; None if it does not."""
    until: Optional[float] = _function(environ, "indrik.deadline")()
    return until


def extend_deadline(environ: "Mapping[str, Any]", seconds: float) -> "Optional[float]":
    """Lets the request run for so many more seconds from now, an hour at most, and returns
    the new deadline."""
    until: Optional[float] = _function(environ, "indrik.extend_deadline")(seconds)
    return until


def _function(environ: "Mapping[str, Any]", name: str) -> "Any":
    try:
        return environ[name]
    except KeyError:
        raise RuntimeError(
            "%s() needs the WSGI environ of a request that Indrik serves, and this one has no %r" % (name, name)
        ) from None


if not TYPE_CHECKING:
    # None of these is needed in the server's own processes, where imports cost each worker.
    def __getattr__(name):
        if name in ("run", "LaunchError"):
            from . import launch

            return getattr(launch, name)
        if name == "__version__":
            return _version()
        if name == "version_info":
            return tuple(int(n) if n.isdigit() else n for n in _version().split("."))
        raise AttributeError("module 'indrik' has no attribute %r" % (name,))
