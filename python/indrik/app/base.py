"""The application of a program that starts the server: a class that derives from
BaseApplication says in load_config() what the settings are, and in load() what the app is.

    class Standalone(BaseApplication):
        def load_config(self):
            self.cfg.set("bind", "127.0.0.1:8080")

        def load(self):
            return app

    if __name__ == "__main__":
        Standalone().run()

docs/programs.md says how the server and the program go together.
"""

from __future__ import annotations

import os
import sys

from .. import program
from ..compat.config import Config, get_default_config_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, NoReturn, Optional, Sequence

__all__ = ["Application", "BaseApplication", "Config"]


class BaseApplication:
    def __init__(self, usage: Optional[str] = None, prog: Optional[str] = None) -> None:
        self.usage = usage
        self.prog = prog
        self.cfg: Any = None
        self.callable: Any = None
        self.logger: Any = None
        self.do_load_config()

    def do_load_config(self) -> None:
        try:
            self.load_default_config()
            self.load_config()
            self.cfg.validate()
        except Exception as e:
            print("\nError: %s" % e, file=sys.stderr, flush=True)
            sys.exit(1)

    def load_default_config(self) -> None:
        self.cfg = Config(self.usage, prog=self.prog)

    def init(self, parser: Any, opts: Any, args: Sequence[str]) -> Optional[Dict[str, Any]]:
        raise NotImplementedError

    def load(self) -> Any:
        """Returns the app. Called in each worker, or in the spawner with preload_app."""
        raise NotImplementedError

    def load_config(self) -> None:
        """Sets the settings of self.cfg."""
        raise NotImplementedError

    def reload(self) -> None:
        """Never called: a reload runs the program again."""
        self.do_load_config()

    def wsgi(self) -> Any:
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def run(self) -> NoReturn:
        """Serves, and does not return. Raises LaunchError where that is not possible."""
        program.serve(self)


class Application(BaseApplication):
    """Takes its settings from the command line of the program, a config file and
    GUNICORN_CMD_ARGS besides."""

    def chdir(self) -> None:
        os.chdir(self.cfg.chdir)
        if self.cfg.chdir not in sys.path:
            sys.path.insert(0, self.cfg.chdir)

    def load_config_from_module_name_or_filename(self, location: str) -> Dict[str, Any]:
        """Sets what a config file says, and returns that."""
        from ..config import ConfigError, ConfigFile

        try:
            file = ConfigFile(location)
        except ConfigError as e:
            print("%s\n%s" % (e, e.traceback), file=sys.stderr, flush=True)
            sys.exit(e.code)
        for name, (value, why) in file.wrong.items():
            raise TypeError("%s = %r: %s" % (name, value, why))
        given = {**file.values, **file.hooks}
        for name, value in given.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)
        return given

    def load_config_from_file(self, filename: str) -> Dict[str, Any]:
        return self.load_config_from_module_name_or_filename(filename)

    def load_config(self) -> None:
        parser = self.cfg.parser()
        args = parser.parse_args()
        for name, value in (self.init(parser, args, args.args) or {}).items():
            self.cfg.set(name.lower(), value)
        self.chdir()
        variable = parser.parse_args(self.cfg.get_cmd_args_from_env())
        location = args.config or variable.config or get_default_config_file()
        if location:
            self.load_config_from_file(location)
        for given in (variable, args):
            for name, value in vars(given).items():
                if value is not None and name != "args":
                    self.cfg.set(name.lower(), value)
        self.chdir()
