"""Tells apps of ASGI from those of WSGI."""

import functools
import sys

from . import stdlib
from .loader import AppImportError

_ASYNC = 0x80  # CO_COROUTINE; to import inspect costs milliseconds


def is_asgi(app):
    """Tells whether an app is certainly one of ASGI: what is called is a coroutine
    function, or makes an object whose call is one."""
    app = _unwrapped(app)
    if isinstance(app, type):
        return _is_async(getattr(app, "__call__", None))
    return _is_async(app) or _is_async(getattr(type(app), "__call__", None))


def is_tornado(app):
    """Tells whether an app is one of Tornado, which can be called but is no WSGI."""
    web = sys.modules.get("tornado.web")
    return web is not None and isinstance(app, web.Application)


def asgi3(app, spec):
    """Returns an app as ASGI 3 has it, of three arguments; raises AppImportError for one
    of WSGI."""
    inner = _unwrapped(app)
    if isinstance(inner, type):
        return _double(app)
    if _is_async(inner) or _is_async(getattr(type(inner), "__call__", None)):
        return app
    count = _arguments(inner)
    if count == 1:
        return _double(app)
    if count == 2:
        raise AppImportError("'%s' is an application of WSGI: the worker class asgi cannot run it." % spec)
    return app


def _double(app):
    """Wraps an app of ASGI 2, which is called once with the scope and then with the
    rest."""

    async def application(scope, receive, send):
        await app(scope)(receive, send)

    return application


def _unwrapped(app):
    while isinstance(app, functools.partial):
        app = app.func
    return app


def _is_async(function):
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _ASYNC)


def _arguments(app):
    """Returns how many arguments an app takes by position, None if that is not
    certain."""
    inspect = stdlib.load("inspect")  # only here, see above

    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)
