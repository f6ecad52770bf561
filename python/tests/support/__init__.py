"""A master and a front in Python, for the real spawner and its real workers.

Tests wait for what they expect, never for time to pass; every wait has a limit.
"""

from .front import FakeWorker, Generation
from .master import APPS, Master, MasterTest
from .memory import BodyArena, memory
from .messages import LIMIT, pair, read_value, receive, send, strict, strict_all

__all__ = [
    "APPS",
    "LIMIT",
    "BodyArena",
    "FakeWorker",
    "Generation",
    "Master",
    "MasterTest",
    "memory",
    "pair",
    "read_value",
    "receive",
    "send",
    "strict",
    "strict_all",
]
