"""Hints where an app cannot be found. Imported only then."""

from __future__ import annotations

import os
import sys

from . import interpreter, stdlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, List, Optional, Tuple

    Found = List[Tuple[str, str]]

# Classes whose objects are apps, as files name them.
_CLASSES = {
    "Flask",
    "FastAPI",
    "Starlette",
    "Quart",
    "Litestar",
    "Sanic",
    "Bottle",
    "App",
    "API",
    "Application",
    "APIFlask",
    "get_wsgi_application",
    "get_asgi_application",
    "Dash",
    "Blacksheep",
    "Connexion",
    "FlaskApp",
    "AsyncApp",
}
_FIRST = ("application", "app")
_FACTORIES = ("create_app", "make_app", "get_app", "create_application", "make_application", "build_app", "factory")

# Words that other servers have as commands.
_COMMANDS = {"help", "version", "run", "serve", "server", "dev", "start", "shell"}

# How many files of the current directory are looked into.
_MOST = 50


def in_file(path: str) -> Found:
    """Returns the names in a file that look like apps, each with its kind, the best first.
    The file is read, not run."""
    ast = stdlib.load("ast")
    try:
        with open(path, "rb") as f:
            tree = ast.parse(f.read())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    found: Found = []
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            made = _called(ast, node.value)
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            found.extend((name, made or "") for name in names if made in _CLASSES or name in _FIRST)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [a.arg for a in node.args.args]
            if names[:1] == ["scope"] or (names[:1] and names[0].startswith("env") and len(names) == 2):
                found.append((node.name, "ASGI" if names[0] == "scope" else "WSGI"))
            elif node.name in _FACTORIES and len(names) == len(node.args.defaults):
                found.append((node.name + "()", "a factory"))
        elif isinstance(node, ast.ImportFrom):
            found.extend((a.asname or a.name, "") for a in node.names if (a.asname or a.name) in _FIRST)
    return _sorted(found)


def _called(ast: Any, value: Any) -> Optional[str]:
    if not isinstance(value, ast.Call):
        return None
    name: Optional[str] = getattr(value.func, "id", None) or getattr(value.func, "attr", None)
    return name


def _sorted(found: Found) -> Found:
    def rank(item: Tuple[str, str]) -> Tuple[bool, bool, bool]:
        name, what = item
        return name not in _FIRST, what == "a factory", what == ""

    return sorted(dict(found).items(), key=rank)


def in_module(module: ModuleType) -> Found:
    """Returns the names in an imported module that look like apps, as in_file does."""
    found: Found = []
    for name, value in vars(module).items():
        if name.startswith("_") or isinstance(value, type) or not callable(value):
            continue
        kind = type(value).__name__
        code = getattr(value, "__code__", None)
        if code is None:
            if kind in _CLASSES or name in _FIRST:
                found.append((name, kind))
            continue
        names = code.co_varnames[: code.co_argcount]
        if names[:1] == ("scope",) or (names and names[0].startswith("env") and len(names) == 2):
            found.append((name, "ASGI" if names[0] == "scope" else "WSGI"))
        elif name in _FACTORIES and len(names) == len(value.__defaults__ or ()):
            found.append((name + "()", "a factory"))
    return _sorted(found)


def _named(module: str, found: Tuple[str, str]) -> str:
    name, what = found
    spec = "%s:%s" % (module, name)
    if not spec.replace(":", "").replace(".", "").isidentifier():
        spec = "'%s'" % spec
    return "%r (%s): indrik %s" % (name, what, spec) if what else "%r: indrik %s" % (name, spec)


def for_attribute(module: ModuleType, missing: str) -> str:
    """Returns a hint for a module that lacks an attribute."""
    path = getattr(module, "__file__", None)
    if not path:
        path = "a built-in module" if module.__name__ in sys.builtin_module_names else "a module without a file"
    found = in_module(module)
    if found:
        text = "%s has %s" % (module.__name__, _named(module.__name__, found[0]))
    else:
        text = "%s is %s, which has nothing that looks like an app" % (module.__name__, path)
    if _is_pythons(path):
        text = "%s is %s, a part of Python itself: give the module of the app another name" % (module.__name__, path)
    return text


def _is_pythons(path: str) -> bool:
    stdlib_dir = os.path.dirname(os.__file__) + os.sep
    return (path.startswith(stdlib_dir) and "-packages" + os.sep not in path) or path == "a built-in module"


def for_path(module: str, expression: str, colon: str) -> Optional[Tuple[str, str]]:
    """Returns (module, expression) for a module that was given as a path, None if it
    was not."""
    if not (module.endswith(".py") or "/" in module):
        return None
    path = module if module.endswith(".py") else module + ".py"
    if not os.path.exists(path):
        if module.endswith(".py") or not os.path.isdir(module):
            return None
        path = module
    relative = os.path.relpath(path)
    if relative.endswith(".py"):
        relative = relative[: -len(".py")]
    dotted = relative.replace(os.sep, ".")
    if relative.startswith(".."):
        dotted = os.path.basename(relative)
    if dotted.endswith(".__init__"):
        dotted = dotted[: -len(".__init__")]
    if not colon:
        found = in_file(path if os.path.isfile(path) else os.path.join(path, "__init__.py"))
        expression = found[0][0] if found else expression
    return dotted, expression


def for_import(error: ImportError, module: str, expression: str) -> str:
    """Returns a hint for a module of the app that cannot be imported, or for a missing package
    that it needs; "" if there is nothing to say."""
    missing = getattr(error, "name", None) or ""
    if "attempted relative import" in str(error):
        return _relative(module, expression)
    if not isinstance(error, ModuleNotFoundError) or not missing:
        return ""
    if missing.partition(".")[0] == "gunicorn":
        return ""  # that has a hint of its own
    if missing == module or module.startswith(missing + "."):
        lines = _missing(missing, module)
    else:
        lines = ["%r is not installed for %s" % (missing.partition(".")[0], interpreter.name())]
    other = _other_environment()
    if other:
        lines.append("There is an environment in %s that is not in use: activate it, or set INDRIK_PYTHON=%s" % other)
    return "\n".join(lines)


def _missing(missing: str, module: str) -> List[str]:
    if missing != module.partition(".")[0]:
        return ["%r is there, %r is not" % (missing.rpartition(".")[0], missing)]
    here = os.getcwd()
    if module in _COMMANDS:
        return ["%r is taken for the module of the app; for the options: indrik --help%s" % (module, _here())]
    lines = [
        "%r is neither in %s, the current directory, nor in the path of %s%s"
        % (missing, here, interpreter.name(), _here())
    ]
    for name in _directories():
        if os.path.exists(os.path.join(name, missing + ".py")) or os.path.exists(
            os.path.join(name, missing, "__init__.py")
        ):
            lines.append("It is in %s: --pythonpath %s, or --chdir %s" % (name, name, name))
            break
    else:
        lines.append("The options --chdir and --pythonpath say where it is")
    return lines


def _directories() -> List[str]:
    try:
        names = sorted(os.listdir("."))
    except OSError:
        return []
    names.sort(key=lambda name: name != "src")
    return [name for name in names[:_MOST] if os.path.isdir(name) and not name.startswith(".")]


def _here() -> str:
    """Returns the apps in the current directory, as the end of a sentence."""
    try:
        names = sorted(name for name in os.listdir(".") if name.endswith(".py"))[:_MOST]
    except OSError:
        return ""
    specs = []
    for name in names:
        found = in_file(name)
        if found:
            specs.append("%s:%s" % (name[: -len(".py")], found[0][0]))
    return ". Here are: %s" % ", ".join(specs) if specs else ""


def _relative(name: str, expression: str) -> str:
    path = name + ".py"
    if "." in name or not os.path.exists(path):
        return ""
    package = os.path.basename(os.getcwd())
    return "%s is part of the package %s: start one directory up, indrik %s.%s:%s, or with --chdir .." % (
        path,
        package,
        package,
        name,
        expression,
    )


def _other_environment() -> Optional[Tuple[str, str]]:
    for name in (".venv", "venv", "env"):
        python = os.path.join(name, "bin", "python")
        if os.path.exists(os.path.join(name, "pyvenv.cfg")) and os.path.exists(python):
            if os.path.realpath(name) == os.path.realpath(sys.prefix):
                return None
            return name, python
    return None
