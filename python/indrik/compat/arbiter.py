"""gunicorn.arbiter. Hooks are annotated with Arbiter, and get a Server."""

from __future__ import annotations

from ..view import Server
from .hints import MASTER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["Arbiter"]


class _IsServer(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Server) or type.__instancecheck__(cls, instance)


class Arbiter(metaclass=_IsServer):
    WORKER_BOOT_ERROR = Server.WORKER_BOOT_ERROR
    APP_LOAD_ERROR = Server.APP_LOAD_ERROR

    def __init__(self, app: Any) -> None:
        if type(self) is not Arbiter:  # here, since what the class does next needs more of an arbiter
            raise NotImplementedError("%s derives from Arbiter, and %s" % (type(self).__name__, MASTER))
        self.app = app
        self.cfg = app.cfg

    def run(self) -> NoReturn:
        """Serves the application of a program, as its own run() does."""
        from .. import program

        program.serve(self.app)


Arbiter.__module__ = "gunicorn.arbiter"
