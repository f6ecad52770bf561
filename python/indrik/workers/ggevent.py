"""The class of workers that run each request in a greenlet."""

from __future__ import annotations

from ..compat.hints import SOCKETS, elsewhere
from .base_async import AsyncWorker

__all__ = ["GeventPyWSGIWorker", "GeventWorker", "PyWSGIHandler", "PyWSGIServer"]


class GeventWorker(AsyncWorker):
    indrik_kind = "gevent"

    def patch(self) -> None:
        """Called before the app is loaded. The standard library was patched in the spawner,
        before anything was imported; a class patches its own libraries here."""

    def init_process(self) -> None:
        self.patch()
        super().init_process()


class GeventPyWSGIWorker(GeventWorker):
    pass


for _class in (GeventWorker, GeventPyWSGIWorker):
    _class.__module__ = "gunicorn.workers.ggevent"

# The servers of gevent's that read connections, which the front does here.
PyWSGIHandler = elsewhere("gunicorn.workers.ggevent.PyWSGIHandler", SOCKETS)
PyWSGIServer = elsewhere("gunicorn.workers.ggevent.PyWSGIServer", SOCKETS)
