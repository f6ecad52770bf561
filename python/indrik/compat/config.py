"""gunicorn.config: the settings of a program that starts the server.

A program sets what it wants to; the master checks the values and combines them with those
of the environment and the command line. What is read here before is what the program has
set, or a default.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from .. import hooks
from ..view import parse_address
from . import util
from .settingtable import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional, Sequence

_TRUE = ("true", "1", "yes", "on")


class Setting:
    """One setting. A class that derives from it and has a name is a further setting, of the
    program's own."""

    name: str = ""
    section: str = ""
    value: Any = None
    cli: Optional[Sequence[str]] = None
    meta: Optional[str] = None
    validator: Any = None
    type: Any = None
    action: Optional[str] = None
    nargs: Any = None
    const: Any = None
    default: Any = None
    short: str = ""
    desc: str = ""
    form = "text"
    known = False  # by the server; others are the program's own

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.name:
            KNOWN_SETTINGS.append(cls)

    def __init__(self) -> None:
        self.is_set = False
        self.value = self.default.copy() if isinstance(self.default, (list, dict)) else self.default
        if self.value is not None and not self.known:
            self.value = self._converted(self.value)

    def copy(self) -> Setting:
        return type(self)()

    def get(self) -> Any:
        return self.value

    def set(self, val: Any) -> None:
        self.value = self._converted(val)
        self.is_set = True

    def _converted(self, value: Any) -> Any:
        function = next((vars(c)["validator"] for c in type(self).__mro__ if "validator" in vars(c)), None)
        if function is not None:
            return getattr(function, "__func__", function)(value)
        if self.form == "hook":
            return hooks.check(self.name, value)
        if self.form in ("bool", "off") and isinstance(value, str):
            return value.strip().lower() in _TRUE
        if self.form == "int" and isinstance(value, str) and value.strip().lstrip("-").isdigit():
            return int(value)
        if self.form == "list" and isinstance(value, str):
            return [part.strip() for part in value.split(",")] if self.name == "bind" else [value]
        return value

    def add_option(self, parser: argparse.ArgumentParser) -> None:
        if not self.cli:
            return
        options: Dict[str, Any] = {"dest": self.name, "default": None, "help": argparse.SUPPRESS}
        if self.action is not None:
            options["action"] = self.action
        elif self.form in ("bool", "off"):
            options["action"] = "store_true" if self.form == "bool" else "store_false"
        elif self.form == "list":
            options["action"] = "append"
        elif self.form.startswith("bare:"):
            options.update(nargs="?", const=self.form[len("bare:") :])
        if self.type is not None and options.get("action") in (None, "store", "append"):
            options["type"] = self.type
        for key in ("nargs", "const"):
            if getattr(self, key) is not None:
                options[key] = getattr(self, key)
        parser.add_argument(*self.cli, **options)

    def __lt__(self, other: Setting) -> bool:
        return (self.section, self.name) < (other.section, other.name)

    def __repr__(self) -> str:
        return "<%s.%s name=%s value=%r>" % (type(self).__module__, type(self).__name__, self.name, self.value)


KNOWN_SETTINGS: List[Any] = []


def _surroundings(name: str) -> Any:
    """Returns the default of a setting that depends on the process."""
    if name == "chdir":
        return util.getcwd()
    return {"user": os.geteuid, "group": os.getegid}[name]()


for _name, _section, _cli, _form, _default in TABLE:
    _class = "".join(part.title() for part in _name.split("_"))
    if _form == "hook":
        _default = staticmethod(hooks.nothing)
    if _name == "default_proc_name":
        _default = "gunicorn"
    _values = {"name": _name, "section": _section, "cli": _cli, "form": _form, "default": _default, "known": True}
    type(_class, (Setting,), _values)


def make_settings(ignore: Iterable[str] = ()) -> Dict[str, Setting]:
    return {cls.name: cls() for cls in KNOWN_SETTINGS if cls.name not in (ignore or ())}


class Config:
    """The settings of a program, as attributes."""

    settings: Dict[str, Setting]

    def __init__(self, usage: Optional[str] = None, prog: Optional[str] = None) -> None:
        self.settings = make_settings()
        for name in ("chdir", "user", "group"):
            self.settings[name].value = _surroundings(name)
        self.usage = usage
        self.prog = prog or os.path.basename(sys.argv[0] if sys.argv else "")
        self.env_orig = os.environ.copy()

    def __getattr__(self, name: str) -> Any:
        settings = vars(self).get("settings", {})
        if name not in settings:
            raise AttributeError("No configuration setting for: %s" % name)
        return settings[name].get()

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "settings" and name in vars(self).get("settings", ()):
            raise AttributeError("Invalid access!")
        super().__setattr__(name, value)

    def set(self, name: str, value: Any) -> None:
        if name not in self.settings:
            raise AttributeError("No configuration setting for: %s" % name)
        self.settings[name].set(value)

    def validate(self) -> None:
        """Does nothing: the master checks the values when it has those of all places."""

    def get_cmd_args_from_env(self) -> List[str]:
        return shlex.split(self.env_orig.get("GUNICORN_CMD_ARGS", ""))

    def parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(usage=self.usage, prog=self.prog)
        parser.add_argument("-v", "--version", action="version", default=argparse.SUPPRESS, version="%(prog)s")
        parser.add_argument("args", nargs="*", help=argparse.SUPPRESS)
        for setting in sorted(self.settings.values()):
            setting.add_option(parser)
        return parser

    @property
    def worker_class_str(self) -> str:
        uri = self.settings["worker_class"].get()
        name = uri if isinstance(uri, str) else uri.__name__
        return "gthread" if (name == "sync" or name.endswith("SyncWorker")) and self.threads > 1 else name

    @property
    def worker_class(self) -> Any:
        """The class; its name, where that cannot be imported here."""
        uri = self.settings["worker_class"].get()
        try:
            return util.load_class(uri)
        except RuntimeError:
            return uri

    @property
    def address(self) -> List[Any]:
        return [parse_address(bind) for bind in self.settings["bind"].get()]

    @property
    def uid(self) -> Any:
        return self.settings["user"].get()

    @property
    def gid(self) -> Any:
        return self.settings["group"].get()

    @property
    def is_ssl(self) -> bool:
        return bool(self.certfile or self.keyfile)

    @property
    def proc_name(self) -> str:
        return str(self.settings["proc_name"].get() or self.settings["default_proc_name"].get())

    @property
    def env(self) -> Dict[str, str]:
        return dict(item.split("=", 1) for item in self.raw_env or () if "=" in item)

    def __str__(self) -> str:
        width = max(map(len, self.settings))
        return "\n".join("%-*s = %s" % (width, name, s.value) for name, s in sorted(self.settings.items()))


def get_default_config_file() -> Optional[str]:
    for name in ("indrik.conf.py", "gunicorn.conf.py"):
        path = os.path.join(os.path.abspath(os.getcwd()), name)
        if os.path.exists(path):
            return path
    return None


# What programs give the validator of a setting of their own.


def validate_string(val: Any) -> Optional[str]:
    if val is None:
        return None
    if not isinstance(val, str):
        raise TypeError("Not a string: %s" % val)
    return val.strip()


def validate_bool(val: Any) -> Optional[bool]:
    if val is None or isinstance(val, bool):
        return val
    if not isinstance(val, str):
        raise TypeError("Invalid type for casting: %s" % val)
    if val.lower().strip() in ("true", "false"):
        return val.lower().strip() == "true"
    raise ValueError("Invalid boolean: %s" % val)


def validate_pos_int(val: Any) -> int:
    number = int(val) if isinstance(val, (bool, int)) else int(val, 0)
    if number < 0:
        raise ValueError("Value must be positive: %s" % val)
    return number


def validate_dict(val: Any) -> Dict[Any, Any]:
    if not isinstance(val, dict):
        raise TypeError("Value is not a dictionary: %s " % val)
    return val


def validate_list_string(val: Any) -> List[str]:
    if not val:
        return []
    return [validate_string(item) or "" for item in ([val] if isinstance(val, str) else val)]


def validate_callable(arity: int) -> Any:
    """Returns a function that accepts functions of so many parameters, -1: of any."""

    def validated(val: Any) -> Any:
        if not callable(val):
            raise TypeError("Value is not callable: %s" % val)
        if arity not in (-1, hooks.positional(val)):
            raise TypeError("Value must have an arity of: %s" % arity)
        return val

    return validated
