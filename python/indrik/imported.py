"""What this process has imported: the master watches it (the setting reload)."""

import os
import sys
import threading
import time

from . import wire

# How often a worker looks whether the app has imported more, in seconds.
EVERY = 0.2

# The size of the paths in one message, in bytes, so that it stays below the limit.
MAX_PATHS = 48 << 10

# The standard library, which nobody edits.
_STDLIB = os.path.dirname(os.__file__) + os.sep


class Imported:
    """Tells the master of the files of imported modules, each of them once."""

    def __init__(self, channel, since):
        self.channel = channel
        self.since = since  # what is imported now was imported after that
        self._told = set()
        self._count = 0

    def tell(self, *more):
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

    def tell_failure(self, exception):
        """Tells also of the files that an exception, if any, comes from: a module
        that cannot be imported is not among those that were."""
        self.tell(*_culprits(exception))

    def keep_telling(self):
        def run():
            while True:
                time.sleep(EVERY)
                if len(sys.modules) != self._count:
                    self.tell()

        threading.Thread(target=run, name="reloader", daemon=True).start()


def _file(module):
    try:
        # From the dictionary, since asking some modules for anything has them
        # import what they stand for.
        path = vars(module).get("__file__")
        if path.endswith(".pyc"):
            path = path[:-1]
        return os.path.abspath(path)
    except (TypeError, AttributeError, OSError):
        return None  # built in, or no module


def _is_watched(path):
    return not path.startswith(_STDLIB) or "-packages" + os.sep in path


def _portions(paths):
    portion, size = [], 0
    for path in paths:
        length = wire.json_size(path)
        if size + length > MAX_PATHS:
            yield portion
            portion, size = [], 0
        portion.append(path)
        size += length + 2
    if portion:
        yield portion


def _culprits(exception):
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
