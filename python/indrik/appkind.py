"""Tells apps of ASGI from those of WSGI, and both from factories of apps.

An app says by itself what it is, or its arguments are counted: a guess that turns out to
be wrong with the first request helps nobody.
"""

from __future__ import annotations

import functools
import sys

from . import stdlib
from .loader import AppImportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Sequence, Tuple

    from .glogging import Logger

WSGI, ASGI3, ASGI2, FACTORY = "WSGI", "ASGI 3", "ASGI 2", "a factory"

_ASYNC = 0x80 | 0x100  # CO_COROUTINE, CO_ITERABLE_COROUTINE; to import inspect costs milliseconds
_VARARGS = 0x04

_HINT = "WSGI has two (environ, start_response), ASGI three (scope, receive, send)"


def kind_of(app: Any, spec: str) -> Tuple[str, Optional[str]]:
    """Returns the kind of an app, and the reason for that guess, None if it is certain.
    Raises AppImportError for an object that can be no app."""
    if isinstance(app, type):
        return _kind_of_class(app, spec)
    call = _called(app)
    arguments = _arguments(call)
    if _is_async(call):
        if arguments is None or arguments.take(3):
            return ASGI3, None
        raise AppImportError(
            "'%s' is a coroutine function of %s: ASGI has three (scope, receive, send)." % (spec, arguments)
        )
    if arguments is None:
        return WSGI, "its arguments cannot be counted"
    return _by_arguments(arguments, spec)


def _kind_of_class(app: Any, spec: str) -> Tuple[str, Optional[str]]:
    arguments = _arguments(app.__init__, bound=True) if app.__init__ is not object.__init__ else _Arguments()
    call = getattr(app, "__call__", None)
    if _is_async(call):
        inner = _arguments(call, bound=True)
        if arguments is not None and arguments.required == 0 and (inner is None or inner.take(3)):
            return FACTORY, "it is a class that is made without arguments"
        return ASGI2, None
    if arguments is None:
        return WSGI, "the arguments of the class cannot be counted"
    return _by_arguments(arguments, spec)


def _by_arguments(arguments: _Arguments, spec: str) -> Tuple[str, Optional[str]]:
    first = arguments.names[0] if arguments.names else ""
    required = arguments.required
    if first.startswith("env") and arguments.take(2):
        return WSGI, None
    if first == "scope" and arguments.take(3):
        return ASGI3, "it takes %s" % arguments
    if first == "scope" and arguments.take(1):
        return ASGI2, "it takes %s" % arguments
    if required == 2:
        return WSGI, None
    if required == 3:
        return ASGI3, "it takes %s" % arguments
    if arguments.more:
        return WSGI, "it takes any arguments"
    if required == 0:
        return FACTORY, "it takes no arguments" if not arguments.names else "it needs no arguments"
    if arguments.take(2):
        return WSGI, "it takes %s" % arguments
    raise AppImportError(
        "'%s' takes %s: it is no application. %s. If it makes one, write the call: '%s(...)'."
        % (spec, arguments, _HINT, spec)
    )


def is_tornado(app: Any) -> bool:
    """Reports whether an app is one of Tornado, which can be called but is no WSGI."""
    web = sys.modules.get("tornado.web")
    return web is not None and isinstance(app, web.Application)


def is_asgi(app: Any, spec: str) -> bool:
    """Reports whether an app is one of ASGI."""
    return not is_tornado(app) and kind_of(app, spec)[0] in (ASGI3, ASGI2)


def made(app: Any, spec: str, log: Logger) -> Any:
    """Returns the app that a factory makes; another app as it is."""
    if is_tornado(app):
        return app
    kind, why = kind_of(app, spec)
    if kind is not FACTORY:
        return app
    log.info("%s is called to make the app, since %s", spec, why)
    app = app()
    if not callable(app):
        raise AppImportError("'%s' was called to make the app, and returned %r, which is none." % (spec, app))
    return app


def as_asgi(app: Any, spec: str, log: Logger, wanted: bool) -> Any:
    """Returns an app in the form of ASGI 3, with three arguments; None for one of WSGI.
    wanted: raises AppImportError for an app that is certainly of WSGI."""
    kind, why = kind_of(app, spec)
    if kind in (WSGI, FACTORY):
        if wanted and why is None:
            raise AppImportError("'%s' is an application of WSGI: the worker class asgi cannot run it." % spec)
        if wanted:
            return app  # the operator who asked for ASGI knows
        if why is not None:
            log.warning("%s is taken for an app of WSGI, since %s. For ASGI use -k asgi", spec, why)
        return None
    if why is not None and not wanted:
        log.info("%s is taken for an app of %s, since %s", spec, kind, why)
    return _double(app) if kind is ASGI2 else app


def _double(app: Any) -> Any:
    """Wraps an app of ASGI 2, which is called once with the scope and then with the
    rest."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return application


def _called(app: Any) -> Any:
    """Returns the function that a call of app runs, as far as that can be told."""
    for _ in range(10):
        if hasattr(app, "__code__") or hasattr(app, "__func__") or isinstance(app, functools.partial):
            return app
        # Found by the type, as a call does; the instance may have another one.
        call: Any = getattr(type(app), "__call__", None)
        if not hasattr(call, "__get__"):
            return app
        try:
            call = call.__get__(app, type(app))
        except AttributeError:
            return app
        if not hasattr(call, "__code__") and not hasattr(call, "__func__"):
            # Written in C, for example a proxy for another callable.
            inner = getattr(app, "__wrapped__", None)
            if inner is None:
                return app
            call = inner
        app = call
    return app


def _is_async(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = _called(function.func)
    function = getattr(function, "__func__", function)
    # By asyncio and, from 3.12 on, inspect.
    if getattr(function, "_is_coroutine", None) or getattr(function, "_is_coroutine_mark", None):
        return True
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _ASYNC)


class _Arguments:
    """The arguments that a callable takes by position."""

    def __init__(self, names: Sequence[str] = (), required: int = 0, more: bool = False) -> None:
        self.names = names
        self.required = required
        self.more = more  # any number

    def take(self, count: int) -> bool:
        return self.required <= count and (self.more or count <= len(self.names))

    def __str__(self) -> str:
        names = list(self.names[: self.required]) + [n + "=…" for n in self.names[self.required :]] + ["*"] * self.more
        if not names:
            return "no arguments"
        return "%d argument%s (%s)" % (len(names), "s" * (len(names) != 1), ", ".join(names))


def _arguments(function: Any, bound: bool = False) -> Optional[_Arguments]:
    """Returns the arguments of a callable, None if that is not certain. bound: without
    the first one."""
    inner = getattr(function, "__func__", function)
    code = getattr(inner, "__code__", None)
    if code is not None and not hasattr(inner, "__wrapped__") and not hasattr(inner, "__signature__"):
        skipped = int(inner is not function or bound)
        names = code.co_varnames[: code.co_argcount]
        required = len(names) - len(inner.__defaults__ or ())
        if code.co_kwonlyargcount > len(inner.__kwdefaults__ or ()):
            return None
        return _Arguments(names[skipped:], max(0, required - skipped), bool(code.co_flags & _VARARGS))
    inspect = stdlib.load("inspect")  # only here, see above

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    if bound:
        parameters = parameters[1:]
    found: List[str] = []
    required, more = 0, False
    for p in parameters:
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            found.append(p.name)
            required += p.default is p.empty
        elif p.kind is p.VAR_POSITIONAL:
            more = True
        elif p.kind is p.KEYWORD_ONLY and p.default is p.empty:
            return None
    return _Arguments(found, required, more)
