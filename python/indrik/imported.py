"""The files of the modules that this process has imported, which the master watches (the
setting reload)."""

from __future__ import annotations

import os
import sys
import threading
import time

from . import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, List, Optional, Set

# How often a worker looks whether the app has imported more, in seconds.
EVERY = 0.2

# The size of the paths in one message, in bytes, so that it stays below the limit.
MAX_PATHS = 48 << 10

# The standard library, which nobody edits.
_STDLIB = os.path.dirname(os.__file__) + os.sep


class Imported:
    """Tells the master of the files of imported modules, each of them once."""

    def __init__(self, channel: wire.Control, since: float) -> None:
        self.channel = channel
        self.since = since  # no module that the master does not know was imported before that time
        self._told: Set[str] = set()
        self._count = 0

    def tell(self, *more: str) -> None:
        now = time.time()
        modules = list(sys.modules.values())
        self._count = len(modules)
        paths = {path for path in map(_file, modules) if path and _is_watched(path)}
        paths.update(os.path.abspath(path) for path in more)
        paths -= self._told
        self._told |= paths
        for files in _portions(sorted(paths)):
            self.channel.send("files", files=files, since=self.since)
        self.since = now

    def tell_failure(self, exception: Optional[BaseException]) -> None:
        """Tells also of the files that an exception, if any, comes from: a module that cannot
        be imported is not in sys.modules."""
        self.tell(*_culprits(exception))

    def keep_telling(self) -> None:
        def run() -> None:
            while True:
                time.sleep(EVERY)
                if len(sys.modules) != self._count:
                    self.tell()

        threading.Thread(target=run, name="reloader", daemon=True).start()


def _file(module: Any) -> Optional[str]:
    try:
        # From the dictionary: some modules import the one that they stand for as soon as they
        # are asked for an attribute.
        path: str = vars(module).get("__file__")
        if path.endswith(".pyc"):
            path = path[:-1]
        return os.path.abspath(path)
    except (TypeError, AttributeError, OSError):
        return None  # built in, or no module


def _is_watched(path: str) -> bool:
    return not path.startswith(_STDLIB) or "-packages" + os.sep in path


def _portions(paths: Iterable[str]) -> Iterator[List[str]]:
    portion: List[str] = []
    size = 0
    for path in paths:
        length = wire.json_size(path)
        if size + length > MAX_PATHS:
            yield portion
            portion, size = [], 0
        portion.append(path)
        size += length + 2
    if portion:
        yield portion


def _culprits(exception: Optional[BaseException]) -> Iterator[str]:
    seen = set()
    while exception is not None and id(exception) not in seen:
        seen.add(id(exception))
        if isinstance(exception, SyntaxError) and exception.filename:
            yield exception.filename
        tb = exception.__traceback__
        while tb is not None:
            filename = tb.tb_frame.f_code.co_filename
            if not filename.startswith("<") and _is_watched(filename):
                yield filename
            tb = tb.tb_next
        exception = exception.__cause__ or exception.__context__
