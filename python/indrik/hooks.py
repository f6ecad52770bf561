"""The hooks of a config file, and their checks."""

from __future__ import annotations

import types

from . import stdlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

# The number of positional parameters of each hook. post_request is called
# with as many as it takes, from 2 to 4.
ARITY = {
    "on_starting": 1,
    "on_reload": 1,
    "when_ready": 1,
    "pre_fork": 2,
    "post_fork": 2,
    "post_worker_init": 1,
    "worker_int": 1,
    "worker_abort": 1,
    "pre_exec": 1,
    "pre_request": 2,
    "post_request": 4,
    "child_exit": 2,
    "worker_exit": 2,
    "after_refork": 2,
    "nworkers_changed": 3,
    "on_exit": 1,
    "ssl_context": 2,
    "on_dirty_starting": 1,
    "dirty_post_fork": 2,
    "dirty_worker_init": 1,
    "dirty_worker_exit": 2,
}


# Signals that a terminal, a service manager or an operator sends to every process of the
# server, and only the master is to obey.
MASTER_SIGNALS = (
    "SIGINT",
    "SIGHUP",
    "SIGTERM",
    "SIGQUIT",
    "SIGUSR1",
    "SIGUSR2",
    "SIGWINCH",
    "SIGTTIN",
    "SIGTTOU",
)


def nothing(*args: object) -> None:
    """The hook that is not set."""


def check(name: str, value: Any) -> Any:
    """Returns the function for a hook; raises TypeError."""
    if isinstance(value, str):
        value = _imported(value)
    if not callable(value):
        raise TypeError("Value is not callable: %s" % (value,))
    arity = positional(value)
    if name == "post_request" and arity in (2, 3):
        return _fewer(value, arity)
    if arity != ARITY[name]:
        raise TypeError("Value must have an arity of: %s" % ARITY[name])
    return value


def _imported(path: str) -> Any:
    module, dot, name = path.rpartition(".")
    if not dot:
        raise TypeError("Value '%s' is not import string. Format: module[.submodules...].object" % path)
    try:
        found = __import__(module, fromlist=[name])
    except ImportError as e:
        raise TypeError(str(e)) from None
    try:
        return getattr(found, name)
    except AttributeError:
        raise TypeError("Can not load '%s' from '%s'" % (name, module)) from None


def _fewer(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> Any:
        return function(*(worker, req, environ, resp)[:count])

    post_request.__qualname__ = getattr(function, "__qualname__", type(function).__name__)
    return post_request


def positional(function: Any) -> int:
    """Returns the number of positional parameters of a callable."""
    if type(function) is types.FunctionType and not hasattr(function, "__wrapped__"):
        return function.__code__.co_argcount

    inspect = stdlib.load("inspect")

    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds for p in inspect.signature(function).parameters.values())
