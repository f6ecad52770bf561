"""Apps that a PasteDeploy file describes (the setting paste)."""

from __future__ import annotations

import re

from . import stdlib
from .loader import AppImportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable


def load(location: str, global_conf: Iterable[str]) -> Any:
    """Returns the app of `FILE` or `FILE#SECTION`."""
    try:
        from paste.deploy import loadapp
    except ImportError as e:
        raise AppImportError(
            "--paste needs the package PasteDeploy in the environment of the app: pip install PasteDeploy (%s)" % e
        ) from None
    return loadapp("config:" + location, global_conf=_pairs(global_conf))


def _pairs(items: Iterable[str]) -> Dict[str, str]:
    """Splits each `KEY=VALUE` at the first = that no backslash precedes."""
    pairs = (re.split(r"(?<!\\)=", item, maxsplit=1) for item in items)
    return {key.replace("\\=", "="): value.replace("\\=", "=") for key, value in pairs}


def configures_logging(file: str) -> bool:
    configparser = stdlib.load("configparser")

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read([file])
    except (configparser.Error, UnicodeDecodeError):
        return False  # PasteDeploy reports the error
    return bool(parser.has_section("loggers"))
