"""gunicorn.debug."""

from __future__ import annotations

import sys

from ..spew import install


def spew(trace_names: object = None, show_values: bool = False) -> None:
    """Has every line that Python runs printed, as the setting spew has."""
    install()


def unspew() -> None:
    sys.settrace(None)
