import functools
import inspect
import logging
import types
import unittest

from indrik import appkind
from indrik.appkind import ASGI2, ASGI3, FACTORY, WSGI
from indrik.loader import AppImportError


async def asgi(scope, receive, send):
    pass


def wsgi(environ, start_response):
    return []


class AsyncCall:
    async def __call__(self, scope, receive, send):
        pass


class Plain:
    """Hands on what it is called with."""

    def __init__(self, app):
        self.app = app

    def __call__(self, scope, receive, send):
        return self.app(scope, receive, send)


class Slot:
    """As the ASGI middleware of Sentry's: what is called is an attribute."""

    __slots__ = ("__call__", "app")

    def __init__(self, app):
        self.app = app
        self.__call__ = self._run

    async def _run(self, scope, receive, send):
        await self.app(scope, receive, send)


class WSGIObject:
    def __call__(self, environ, start_response):
        return []


class WSGIClass:
    def __init__(self, environ, start_response):
        pass


class Double:
    def __init__(self, scope):
        pass

    async def __call__(self, receive, send):
        pass


class Unmade:
    def __init__(self, debug=False):
        pass

    async def __call__(self, scope, receive, send):
        pass


class AnyArguments:
    def __call__(self, *args, **kwargs):
        return asgi(*args, **kwargs)


@functools.wraps(asgi)
def wrapped(*args, **kwargs):
    return asgi(*args, **kwargs)


@types.coroutine
def generator(scope, receive, send):
    yield


def marked(*args):
    return asgi(*args)


marked._is_coroutine = object()


def double(scope):
    return asgi


def create_app(config=None, testing=False):
    return asgi


class Kinds(unittest.TestCase):
    def test_kinds(self):
        for app, kind in (
            (asgi, ASGI3),
            (AsyncCall(), ASGI3),
            (Slot(asgi), ASGI3),
            (Plain(asgi), ASGI3),
            (wrapped, ASGI3),
            (AsyncCall().__call__, ASGI3),
            (functools.partial(asgi), ASGI3),
            (generator, ASGI3),
            (marked, ASGI3),
            (functools.partial(lambda inner, scope, receive, send: None, asgi), ASGI3),
            (lambda scope, receive, send: None, ASGI3),
            (lambda a, b, c: None, ASGI3),
            (functools.partial(AsyncCall()), ASGI3),
            (Double, ASGI2),
            (double, ASGI2),
            (wsgi, WSGI),
            (WSGIObject(), WSGI),
            (WSGIClass, WSGI),
            (lambda e, s: None, WSGI),
            (lambda environ=None, start_response=None: None, WSGI),
            (lambda env, start_response, exc=None: None, WSGI),
            (functools.partial(lambda setting, environ, start: None, 1), WSGI),
            (create_app, FACTORY),
            (lambda: asgi, FACTORY),
            (Unmade, FACTORY),
            (lambda **config: asgi, FACTORY),
        ):
            found, _ = appkind.kind_of(app, "m:app")
            self.assertEqual(found, kind, app)

    def test_not_certain(self):
        """Whoever reads the log learns what was assumed, and why."""
        for app, kind, why in (
            (AnyArguments(), WSGI, "it takes any arguments"),
            (Plain(asgi), ASGI3, "it takes 3 arguments (scope, receive, send)"),
            (create_app, FACTORY, "it needs no arguments"),
        ):
            found, reason = appkind.kind_of(app, "m:app")
            self.assertEqual(found, kind)
            self.assertIn(why, reason)
        self.assertIsNone(appkind.kind_of(asgi, "m:app")[1])
        self.assertIsNone(appkind.kind_of(Slot(asgi), "m:app")[1])
        self.assertIsNone(appkind.kind_of(wsgi, "m:app")[1])
        with self.assertLogs("m", "WARNING") as logs:
            self.assertIsNone(appkind.as_asgi(AnyArguments(), "m:app", logging.getLogger("m"), False))
        self.assertIn(
            "m:app is taken for an app of WSGI, since it takes any arguments. For ASGI use -k asgi", logs.output[0]
        )
        self.assertIsNotNone(appkind.as_asgi(AnyArguments(), "m:app", logging.getLogger("m"), True))

    def test_no_app(self):
        async def make():
            pass

        for app, error in (
            (lambda config: asgi, "'m:app' takes 1 argument (config): it is no application."),
            (lambda a, b, c, d: asgi, "takes 4 arguments"),
            (make, "a coroutine function of no arguments"),
        ):
            with self.assertRaises(AppImportError) as caught:
                appkind.kind_of(app, "m:app")
            self.assertIn(error, str(caught.exception))
        with self.assertRaises(AppImportError):
            appkind.as_asgi(wsgi, "m:app", None, True)

    def test_factory(self):
        with self.assertLogs("m", "INFO") as logs:
            self.assertIs(appkind.made(create_app, "m:create_app", logging.getLogger("m")), asgi)
        self.assertIn("m:create_app is called to make the app, since it needs no arguments", logs.output[0])
        self.assertIs(appkind.made(wsgi, "m:app", None), wsgi)
        with self.assertRaises(AppImportError) as caught:
            appkind.made(lambda: None, "m:make", logging.getLogger("m"))
        self.assertIn("'m:make' was called to make the app, and returned None", str(caught.exception))


class Odd(unittest.TestCase):
    """Callables whose kind cannot be read off a function of Python."""

    def kind(self, app):
        return appkind.kind_of(app, "m:app")

    def test_written_in_c(self):
        self.assertEqual(self.kind(print)[0], WSGI)
        self.assertEqual(self.kind(dict.fromkeys)[0], WSGI)

    def test_keywords_that_are_needed(self):
        def app(environ, start_response, *, setting):
            return []

        self.assertEqual(self.kind(app), (WSGI, "its arguments cannot be counted"))

        class Class:
            def __init__(self, *, setting):
                pass

        self.assertEqual(self.kind(Class), (WSGI, "the arguments of the class cannot be counted"))

    def test_signature_of_ones_own(self):
        def app(*args):
            return asgi(*args)

        for parameters, kind in (("scope receive send", ASGI3), ("environ start", WSGI), ("scope", ASGI2)):
            app.__signature__ = inspect.Signature(
                [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in parameters.split()]
            )
            self.assertEqual(self.kind(app)[0], kind)

    def test_keyword_of_a_signature(self):
        def app(*args):
            return asgi(*args)

        app.__signature__ = inspect.Signature([inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY)])
        self.assertEqual(self.kind(app)[0], WSGI)

    def test_call_that_cannot_be_had(self):
        class Descriptor:
            def __get__(self, instance, owner):
                raise AttributeError("not here")

        class App:
            __call__ = Descriptor()

        self.assertEqual(self.kind(App())[0], WSGI)

    def test_proxy(self):
        """As those of wrapt, whose __call__ is written in C."""

        class Proxy:
            __call__ = functools.partial(asgi)

            def __init__(self, wrapped):
                self.__wrapped__ = wrapped

        self.assertEqual(self.kind(Proxy(asgi))[0], ASGI3)
        self.assertEqual(self.kind(functools.partial(Proxy(asgi)))[0], ASGI3)

    def test_class_with_a_coroutine_as_call(self):
        class Factory:
            async def __call__(self, scope, receive, send):
                pass

        self.assertEqual(self.kind(Factory), (FACTORY, "it is a class that is made without arguments"))

        class Double:
            def __init__(self, scope):
                pass

            async def __call__(self, receive, send):
                pass

        self.assertEqual(self.kind(Double), (ASGI2, None))
