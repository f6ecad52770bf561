"""Finds the app that a specification such as `module:app` names."""

from __future__ import annotations

import importlib
import traceback

from . import stdlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple


class AppImportError(Exception):
    """The module is there, the app is not: exit code 4."""


class BootError(Exception):
    """The app refuses to start, with the reason as text: exit code 3."""


def load(spec: str) -> Any:
    """Returns the app named by `module`, `module:variable`, `module:a.b` or
    `module:factory(literal, name=literal)`."""
    module, colon, expression = spec.partition(":")
    if not colon:
        expression = "application"
    try:
        found = importlib.import_module(module)
    except ImportError as e:
        from . import suggest

        meant = suggest.for_path(module, expression, colon)
        if meant and module.endswith(".py"):
            raise ImportError("Failed to find application, did you mean '%s:%s'?" % meant) from None
        hint = suggest.for_import(e, module, expression)
        vars(e)["indrik_hint"] = "a module is written with dots: %s:%s" % meant if meant else hint
        raise

    names, call = _parse(expression)
    app: Any = found
    for name in names:
        try:
            app = getattr(app, name)
        except AttributeError:
            from . import suggest

            raise AppImportError(
                "Failed to find attribute %r in %r.\n%s"
                % (".".join(names), module, suggest.for_attribute(found, names[0]))
            ) from None
    if call is not None:
        app = _call(app, *call)
    if app is None:
        raise AppImportError("Failed to find application object: %r" % expression)
    if not callable(app):
        raise AppImportError("Application object must be callable.")
    return app


def _parse(expression: str) -> Tuple[List[str], Optional[Tuple[List[Any], Dict[str, Any]]]]:
    """Returns the names to follow, and the arguments of a factory or None."""
    if expression.isidentifier():
        return [expression], None

    ast = stdlib.load("ast")

    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        tree = None
    names = _names(ast, tree)
    if names:
        return names, None
    if not isinstance(tree, ast.Call):
        raise AppImportError("Failed to parse %r as an attribute name or function call." % expression)
    if not isinstance(tree.func, ast.Name):
        raise AppImportError("Function reference must be a simple name: %r" % expression)
    try:
        args = [ast.literal_eval(a) for a in tree.args]
        kwargs = {k.arg: ast.literal_eval(k.value) for k in tree.keywords}
        if None in kwargs:
            raise ValueError("**")
    except ValueError:
        raise AppImportError("Failed to parse arguments as literal values: %r" % expression) from None
    return [tree.func.id], (args, kwargs)


def _names(ast: Any, tree: Any) -> Optional[List[str]]:
    """Returns ["a", "b"] for the expression a.b, None for any other."""
    names = []
    while isinstance(tree, ast.Attribute):
        names.append(tree.attr)
        tree = tree.value
    if not isinstance(tree, ast.Name):
        return None
    names.append(tree.id)
    return names[::-1]


def _call(factory: Any, args: List[Any], kwargs: Dict[str, Any]) -> Any:
    try:
        return factory(*args, **kwargs)
    except TypeError as e:
        # Raised by the call itself, not inside the factory: only this
        # function is in the traceback.
        if e.__traceback__ is not None and e.__traceback__.tb_next is None:
            raise AppImportError("".join(traceback.format_exception_only(TypeError, e)).strip()) from None
        raise
