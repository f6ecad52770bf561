"""The calls of the master that a spawner answers."""

from __future__ import annotations

from . import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    Message = Dict[str, Any]
    Answer = Optional[Dict[str, Any]]


class CallError(Exception):
    """A call that failed."""

    def __init__(self, stage: str, error: str, traceback: str = "", code: int = 1, errno: Optional[int] = None) -> None:
        super().__init__(error)
        self.fields: Dict[str, Any] = {
            "stage": stage,
            "error": wire.clip(error),
            "traceback": wire.clip(traceback),
            "code": code,
            "errno": errno or 0,
        }
