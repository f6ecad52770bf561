"""The application that the command of Gunicorn's is: it takes its app and its settings from
the command line."""

from __future__ import annotations

from ..compat.errors import ConfigError
from ..compat.util import import_app
from .base import Application

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Optional, Sequence

__all__ = ["WSGIApplication", "run"]


class WSGIApplication(Application):
    app_uri: Optional[str] = None

    def init(self, parser: Any, opts: Any, args: Sequence[str]) -> None:
        if args:
            self.cfg.set("default_proc_name", args[0])
            self.app_uri = args[0]

    def load_config(self) -> None:
        super().load_config()
        if self.app_uri is None:
            self.app_uri = self.cfg.wsgi_app
        if self.app_uri is None:
            raise ConfigError("No application module specified.")

    def load(self) -> Any:
        return import_app(str(self.app_uri))


def run(prog: Optional[str] = None) -> NoReturn:
    """Serves what the command line says, sys.argv, and does not return."""
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog=prog).run()
