"""The class of workers that run an app of ASGI."""

from __future__ import annotations

from .base import Worker

__all__ = ["ASGIWorker"]


class ASGIWorker(Worker):
    indrik_kind = "asgi"


ASGIWorker.__module__ = "gunicorn.workers.gasgi"
