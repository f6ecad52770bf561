"""The classes of uvicorn's workers, uvicorn.workers and uvicorn_worker: they mean the kind
asgi."""

from __future__ import annotations

from .base import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

__all__ = ["UvicornH11Worker", "UvicornWorker"]


class UvicornWorker(Worker):
    indrik_kind = "asgi"

    # Options of uvicorn's, by the names of its Config. A class of one's own can have others:
    # they are settings of the server, see docs/worker-classes.md.
    CONFIG_KWARGS: Dict[str, Any] = {"loop": "auto", "http": "auto"}

    def _install_sigquit_handler(self) -> None:
        """The worker has its handler of SIGQUIT already."""

    async def _serve(self) -> None:
        """Serves until the worker is to end, and ends the app; its lifespan has begun. A class
        that has this method calls this one."""
        assert self.indrik_worker.asgi is not None
        await self.indrik_worker.asgi.serve_requests()


class UvicornH11Worker(UvicornWorker):
    CONFIG_KWARGS: Dict[str, Any] = {"loop": "asyncio", "http": "h11"}


for _class in (UvicornWorker, UvicornH11Worker):
    _class.__module__ = "uvicorn.workers"
