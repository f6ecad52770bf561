"""The class of workers that run one request at a time."""

from __future__ import annotations

from .base import Worker

__all__ = ["SyncWorker"]


class SyncWorker(Worker):
    indrik_kind = "sync"


SyncWorker.__module__ = "gunicorn.workers.sync"
