"""The apps of pools: their base class, and how they are found by name.

An app is named as "module:Class", or "module:Class:N" where N workers of its pool have it and
the others do not. The functions raise Gunicorn's errors with Gunicorn's texts.
"""

from __future__ import annotations

import importlib

from .errors import DirtyAppError, DirtyAppNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Dict, Iterable, Optional, Sequence, Tuple


class UnknownActionError(ValueError):
    """The app has no such action."""


# Methods that the pool calls, at the beginning and the end of a worker.
_OF_THE_POOL = ("init", "close")


class DirtyApp:
    """An app whose objects live in the workers of a pool, and whose public methods are called
    from elsewhere. Each worker of the pool makes one when it starts.

    With more than one thread (dirty_threads) calls run at the same time in one object. An action
    may be a function, a coroutine function, a generator or an asynchronous generator; what a
    generator makes is streamed. Those that are asynchronous run in one event loop, which is in a
    thread of its own.
    """

    # So many workers of the pool have the app; None: all.
    workers: ClassVar[Optional[int]] = None

    # Tables of the stash that there are before the first call.
    stashes: ClassVar[Sequence[str]] = ()

    def init(self) -> Any:
        """Loads what the app needs. It is called in the worker, before it takes calls, and may
        be a coroutine function."""

    def __call__(self, action: str, /, *args: Any, **kwargs: Any) -> Any:
        """Runs an action and returns its result."""
        method = None if action.startswith("_") or action in _OF_THE_POOL else getattr(self, action, None)
        if not callable(method):
            raise UnknownActionError("Unknown action: %s" % action)
        return method(*args, **kwargs)

    def close(self) -> Any:
        """Is called when the worker ends, and may be a coroutine function."""


def parse_dirty_app_spec(spec: str) -> Tuple[str, Optional[int]]:
    """Returns the import path of an app, and how many workers are to have it, None for all."""
    parts = spec.split(":")
    if len(parts) == 2:
        return spec, None
    if len(parts) != 3:
        raise DirtyAppError(
            "Invalid import path format: %s. Expected 'module.path:ClassName' or 'module.path:ClassName:N'" % spec,
            app_path=spec,
        )
    path = ":".join(parts[:2])
    try:
        count = int(parts[2])
    except ValueError:
        raise DirtyAppError(
            "Invalid worker count in spec: %s. Expected integer, got '%s'" % (spec, parts[2]), app_path=spec
        ) from None
    if count < 1:
        raise DirtyAppError(
            "Invalid worker count in spec: %s. Worker count must be >= 1, got %d" % (spec, count), app_path=spec
        )
    return path, count


def _class(path: str) -> type:
    """Imports the class of an app."""
    module, colon, name = path.rpartition(":")
    if not colon:
        raise DirtyAppError("Invalid import path format: %s. Expected 'module.path:ClassName'" % path, app_path=path)
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as e:
        raise DirtyAppNotFoundError(path) from e
    if found is None:
        raise DirtyAppNotFoundError(path)
    if not isinstance(found, type):
        raise DirtyAppError("%s is not a class" % path, app_path=path)
    return found


def get_app_workers_attribute(import_path: str) -> Optional[int]:
    """Returns the attribute workers of the class of an app: so many workers are to have it, all
    for None."""
    workers: Optional[int] = getattr(_class(import_path), "workers", None)
    return workers


def load_dirty_app(import_path: str) -> Any:
    """Imports the class of an app and makes its object."""
    kind = _class(import_path)
    try:
        app = kind()
    except Exception as e:
        raise DirtyAppError("Failed to instantiate %s: %s" % (import_path, e), app_path=import_path) from e
    for name in ("init", "__call__", "close"):
        if not callable(getattr(app, name, None)):
            raise DirtyAppError("%s is missing required method: %s" % (import_path, name), app_path=import_path)
    return app


def load_dirty_apps(import_paths: Iterable[str]) -> Dict[str, Any]:
    """Imports several; returns them by import path."""
    return {path: load_dirty_app(path) for path in import_paths}
