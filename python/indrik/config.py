"""The config file: evaluated here, checked and layered by the master, and back
again as the object that hooks know as server.cfg and worker.cfg."""

from __future__ import annotations

import _ast
import importlib
import json
import logging
import os
import sys
import types

from . import hooks, interpreter, stdlib
from .compat import finder
from .compat.hints import CONFIG, MissingHint
from .log import app_traceback
from .protocol import MAX_MESSAGE
from .view import parse_address
from .wire import json_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Tuple, Type

    from .generation import LazyApp
    from .glogging import Logger
    from .workers.base import Worker as OwnWorker

# How large the values of a config file may be together, in bytes: a message has them, and
# some more.
_MAX_SETTINGS = MAX_MESSAGE - 1024

# The data of one setting, as JSON; more than that is no setting that could be
# sent in one message.
MAX_VALUE = 32 << 10


class ConfigError(Exception):
    """The config file cannot be used. Its text is what the operator reads,
    before the traceback."""

    def __init__(self, text: str, traceback: str = "", code: int = 1) -> None:
        super().__init__(text)
        self.traceback = traceback
        self.code = code


class ConfigFile:
    """The names that a config file has set."""

    def __init__(self, location: Optional[str] = "") -> None:
        self.location = location
        self.values: Dict[str, Any] = {}  # public names that hold data
        self.hooks: Dict[str, Any] = {}
        self.functions: Dict[str, Any] = {}  # public ones that are no hooks, but may be meant as such
        self.wrong: Dict[str, Tuple[Any, str]] = {}  # values that cannot be hooks, and why, by name
        self.lines: Dict[str, int] = {}
        self.further: Dict[str, Any] = {}  # settings of a program's own
        self.worker_class: Optional[Type[OwnWorker]] = None  # of one's own, once that is known
        if location:
            self._evaluate(location)

    def _evaluate(self, location: str) -> None:
        if location.startswith("python:"):
            names, self.lines = _module(location[len("python:") :])
        else:
            path = location[len("file:") :] if location.startswith("file:") else location
            names, self.lines = _execute(path)
        for name, value in {**of_gunicorn(), **names}.items():
            if name in hooks.ARITY:
                try:
                    self.hooks[name] = hooks.check(name, value)
                except TypeError as e:
                    self.wrong[name] = value, str(e)
            elif name.startswith("_"):
                continue
            elif _is_data(name, value):
                self.values[name] = value
            elif type(value) is types.FunctionType and value.__module__ == names["__name__"]:
                self.functions[name] = value

    def app(self, spec: Any, log: Logger) -> Optional[LazyApp]:
        """Returns the app, where the settings and the app are those of a program."""
        return None

    def object(self, name: str) -> Any:
        """Returns the object that the file gives a setting, None for one that JSON has a form
        for: it went to the master."""
        value = self.values.get(name)
        return None if value is None or isinstance(value, str) else value

    def report(self) -> Dict[str, Any]:
        """Returns the answer for the master. Raises ConfigError if it is too large."""
        settings = self.plain()
        answer: Dict[str, Any] = {
            "settings": settings,
            "hooks": sorted(self.hooks),
            "lines": self.lines,
            "modules": finder.found(),
            "python": {"version": interpreter.version(), "executable": sys.executable or ""},
        }
        size = json_size(answer)
        if size > _MAX_SETTINGS:
            sizes = {name: json_size(value) for name, value in settings.items()}
            largest = max(sizes, key=lambda name: sizes[name])
            raise ConfigError(
                "\nError: the values in %s are too large: %d bytes of at most %d, '%s' has %d."
                " Names that begin with an underscore do not count."
                % (self.location, size, _MAX_SETTINGS, largest, sizes[largest])
            )
        return answer

    def plain(self) -> Dict[str, Any]:
        """Returns the values and hooks in a form that JSON has. The master warns of names that
        it does not know, also of hooks."""
        values = plain(self.values)
        for name, function in {**self.functions, **self.hooks}.items():
            values[name] = {"python": "<%s()>" % getattr(function, "__qualname__", type(function).__name__)}
        for name, (value, error) in self.wrong.items():
            values[name] = {"python": _repr(value), "error": error}
        return values


def plain(values: Mapping[str, Any]) -> Dict[str, Any]:
    """Returns values in a form that JSON has."""
    return {name: _plain(value) for name, value in values.items()}


def of_gunicorn() -> Dict[str, Any]:
    """Returns the settings that the file asks for by setting gunicorn.SERVER."""
    module = sys.modules.get("indrik.compat.gunicorn")
    settings: Dict[str, Any] = module.settings() if module is not None else {}
    return settings


def _is_data(name: str, value: Any) -> bool:
    if isinstance(value, type):
        return name.endswith("_class")
    return not isinstance(value, (types.ModuleType, types.FunctionType, types.BuiltinFunctionType))


def _plain(value: Any) -> Any:
    try:
        plain = _jsonable(value)
        if len(json.dumps(plain)) <= MAX_VALUE:
            return plain
    except (TypeError, ValueError, RecursionError):
        pass
    return {"python": _repr(value)}


def _repr(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = object.__repr__(value)
    return text[:200]


def _jsonable(value: Any) -> Any:
    """Returns value in the types of JSON; raises TypeError for one that would come back as
    another value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float) and value - value == 0:  # not infinite
        return value
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {key: _jsonable(item) for key, item in value.items()}
    raise TypeError("no form in JSON")


def _module(name: str) -> Tuple[Dict[str, Any], Dict[str, int]]:
    try:
        if name in sys.modules:
            module = importlib.reload(sys.modules[name])
        else:
            module = importlib.import_module(name)
        return vars(module), _lines_of(getattr(module, "__file__", None))
    except ImportError as e:
        missing = getattr(e, "name", None)
        if missing and (name + ".").startswith(missing + "."):  # it, or its package
            raise ConfigError("\nError: %s" % e) from None
        raise _broken(name, e) from None
    except BaseException as e:
        raise _broken(name, e) from None


def _execute(path: str) -> Tuple[Dict[str, Any], Dict[str, int]]:
    if not os.path.exists(path):
        raise ConfigError("\nError: %r doesn't exist" % path)
    module = types.ModuleType("__config__")
    module.__file__ = os.path.abspath(path)
    lines: Dict[str, int] = {}
    extension = os.path.splitext(path)[1]
    try:
        if extension == ".pyc":
            machinery = stdlib.load("importlib.machinery")
            code = machinery.SourcelessFileLoader("__config__", path).get_code("__config__")
        else:
            if extension != ".py":
                _warn_extension()
            # Read and compiled here, not imported: an import could find the
            # bytecode of an older file that was written in the same second.
            with open(path, "rb") as f:
                source = f.read()
            code = compile(source, module.__file__, "exec", dont_inherit=True)
            lines = _lines(source, module.__file__)
        sys.modules["__config__"] = module
        exec(code, module.__dict__)
    except BaseException as e:
        raise _broken(path, e) from None
    return vars(module), lines


def _broken(name: str, e: BaseException) -> ConfigError:
    """The error for a config file that raised e."""
    code = 1
    if isinstance(e, SystemExit):
        code = e.code if isinstance(e.code, int) else int(e.code is not None)
    return ConfigError("Failed to read config file: %s" % name, app_traceback(e), code)


def _warn_extension() -> None:
    print(
        "!!!\n!!! WARNING: configuration file should have a valid Python extension.\n!!!\n", file=sys.stderr, flush=True
    )


def _lines(source: bytes, filename: str) -> Dict[str, int]:
    """Returns the line on which each name is bound last outside of functions.
    A best effort, for messages."""
    lines: Dict[str, int] = {}
    try:
        tree = compile(source, filename, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
        _bindings(tree, lines)
    except (SyntaxError, ValueError, RecursionError):
        pass
    return lines


def _lines_of(path: Optional[str]) -> Dict[str, int]:
    if path is None or not path.endswith(".py"):
        return {}
    try:
        with open(path, "rb") as f:
            return _lines(f.read(), path)
    except OSError:
        return {}  # in a zip file


def _bindings(node: Any, lines: Dict[str, int]) -> None:
    for statement in getattr(node, "body", ()):
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        for target in targets:
            for name in getattr(target, "elts", None) or [target]:
                if isinstance(name, _ast.Name):
                    lines[name.id] = statement.lineno
        if isinstance(statement, (_ast.FunctionDef, _ast.AsyncFunctionDef, _ast.ClassDef)):
            lines[statement.name] = statement.lineno
        else:
            _bindings(statement, lines)
            for block in ("handlers", "orelse", "finalbody"):
                for part in getattr(statement, block, ()):
                    _bindings(_Body([part]), lines)


class _Body:
    def __init__(self, body: List[Any]) -> None:
        self.body = body


# The settings that Python reads after the hooks that may change them.
_READ_LATE = {"user", "group", "initgroups", "max_requests", "max_requests_jitter"}


class Setting:
    """One of cfg.settings."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value

    def get(self) -> Any:
        return self.value


class Config(MissingHint):
    """The final settings of a generation, as attributes."""

    _HINTS = CONFIG

    def __init__(self, settings: Mapping[str, Any], file: ConfigFile, app: Optional[str], kind: Optional[str]) -> None:
        values = {**file.further, **settings}
        for name, value in file.values.items():
            # A value that JSON has no form for never left this process.
            sent = values.get(name)
            if isinstance(sent, dict) and list(sent) == ["python"]:
                values[name] = value
        self._values = values
        self.hooks = dict(file.hooks)
        for name in hooks.ARITY:
            values[name] = self.hooks.get(name, hooks.nothing)
        self.__dict__.update(values)
        self.app = app
        self.kind = kind  # of worker, whatever name worker_class gives it
        self.own_worker_class = file.worker_class
        self.env = dict(item.split("=", 1) for item in self.get("raw_env") or () if "=" in item)
        self.env_orig = os.environ.copy()

    def get(self, name: str, default: Any = None) -> Any:
        return self._values.get(name, default)

    def set(self, name: str, value: Any) -> None:
        """Changes the value that code in this process reads from now on."""
        if name not in self._values:
            raise AttributeError("No configuration setting for: %s" % name)
        if name in hooks.ARITY:
            self.hooks[name] = value = hooks.check(name, value)
        elif name not in _READ_LATE:
            logging.getLogger("gunicorn.error").warning(
                "cfg.set(%r) changes what hooks and the app see; the master and the front go on "
                "with the value of the config file: set it there",
                name,
            )
        self._values[name] = value
        self.__dict__[name] = value

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_values", ()):
            raise AttributeError("Invalid access!")  # set() it is
        object.__setattr__(self, name, value)

    @property
    def settings(self) -> Dict[str, Setting]:
        return {name: Setting(name, value) for name, value in self._values.items()}

    @property
    def address(self) -> List[Any]:
        return [parse_address(bind) for bind in self.get("bind") or ()]

    @property
    def uid(self) -> Optional[int]:
        uid: Optional[int] = self.get("user")
        return uid

    @property
    def gid(self) -> Optional[int]:
        gid: Optional[int] = self.get("group")
        return gid

    @property
    def is_ssl(self) -> bool:
        return bool(self.get("certfile") or self.get("keyfile"))

    @property
    def worker_class_str(self) -> str:
        return "gthread" if self.kind == "gthread" else str(self.get("worker_class"))

    def __str__(self) -> str:
        width = max(map(len, self._values))
        return "\n".join("%-*s = %s" % (width, n, v) for n, v in sorted(self._values.items()))
