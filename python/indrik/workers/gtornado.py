"""The class of workers that run an app of Tornado."""

from __future__ import annotations

from .base import Worker

__all__ = ["TornadoWorker"]


class TornadoWorker(Worker):
    indrik_kind = "tornado"

    @classmethod
    def setup(cls) -> None:
        """Does nothing: Tornado's server, which Gunicorn patches here, is not used."""


TornadoWorker.__module__ = "gunicorn.workers.gtornado"
