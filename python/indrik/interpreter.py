"""The Python that runs the app, as messages call it."""

from __future__ import annotations

import sys


def version() -> str:
    """Returns a text such as 3.13.1, or 3.10.14 (PyPy)."""
    text = sys.version.split()[0]
    if sys.implementation.name == "pypy":
        text += " (PyPy)"
    elif "free-threading" in sys.version:
        text += " (free-threaded)"
    return text


def name() -> str:
    """Returns a text such as `Python 3.13.1 (/srv/app/.venv/bin/python)`."""
    return "Python %s (%s)" % (version(), sys.executable or "unknown path")
