"""gunicorn.workers.workertmp."""

from __future__ import annotations

from ..view import Heartbeat

__all__ = ["WorkerTmp"]

WorkerTmp = Heartbeat
