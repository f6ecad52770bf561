"""The class that those of workers with greenlets derive from."""

from __future__ import annotations

from .base import Worker

__all__ = ["ALREADY_HANDLED", "AsyncWorker"]

# What an app returned that had taken over the connection. There is none to take over.
ALREADY_HANDLED = object()


class AsyncWorker(Worker):
    pass


AsyncWorker.__module__ = "gunicorn.workers.base_async"
