"""The class of workers with threads."""

from __future__ import annotations

from ..compat.hints import SOCKETS, elsewhere
from .base import Worker

__all__ = ["TConn", "ThreadWorker"]


class ThreadWorker(Worker):
    indrik_kind = "gthread"


ThreadWorker.__module__ = "gunicorn.workers.gthread"

# A connection of a worker's own, which there is none of.
TConn = elsewhere("gunicorn.workers.gthread.TConn", SOCKETS)
