"""gunicorn.errors."""

from __future__ import annotations

from ..loader import AppImportError

__all__ = ["AppImportError", "ConfigError", "HaltServer"]


class ConfigError(Exception):
    """The configuration cannot be used."""


class HaltServer(BaseException):
    def __init__(self, reason: str, exit_status: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_status = exit_status

    def __str__(self) -> str:
        return "<HaltServer %r %d>" % (self.reason, self.exit_status)
