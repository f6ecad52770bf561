"""Finds Gunicorn's modules, and those of uvicorn's worker, in this package.

Those that speak of the server, its workers, its settings and its logging are found here
even where the real ones are installed: a class that derives from one of those could not
serve. The others are libraries, and where there is a real gunicorn they are its own.
"""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Dict, List, Optional, Sequence, Set

# The modules that are always found here.
OWN: Dict[str, str] = {
    "gunicorn": "indrik.compat.gunicorn",
    "gunicorn.app": "indrik.app",
    "gunicorn.app.base": "indrik.app.base",
    "gunicorn.app.wsgiapp": "indrik.app.wsgiapp",
    "gunicorn.arbiter": "indrik.compat.arbiter",
    "gunicorn.config": "indrik.compat.config",
    "gunicorn.dirty": "indrik.compat.dirty",
    "gunicorn.dirty.app": "indrik.pools.app",
    "gunicorn.dirty.client": "indrik.pools.client",
    "gunicorn.dirty.errors": "indrik.pools.errors",
    "gunicorn.dirty.stash": "indrik.pools.stash",
    "gunicorn.glogging": "indrik.glogging",
    "gunicorn.http.message": "indrik.compat.http",
    "gunicorn.http.wsgi": "indrik.compat.http",
    "gunicorn.instrument": "indrik.compat.instrument",
    "gunicorn.instrument.statsd": "indrik.statsd",
    "gunicorn.workers": "indrik.workers",
    "gunicorn.workers.base": "indrik.workers.base",
    "gunicorn.workers.base_async": "indrik.workers.base_async",
    "gunicorn.workers.gasgi": "indrik.workers.gasgi",
    "gunicorn.workers.ggevent": "indrik.workers.ggevent",
    "gunicorn.workers.gthread": "indrik.workers.gthread",
    "gunicorn.workers.gtornado": "indrik.workers.gtornado",
    "gunicorn.workers.sync": "indrik.workers.sync",
    "gunicorn.workers.workertmp": "indrik.workers.workertmp",
    "uvicorn.workers": "indrik.workers.uvicorn",
    "uvicorn_worker": "indrik.workers.uvicorn",
    "uvicorn_worker._workers": "indrik.workers.uvicorn",
}

# Those that are found here where there is no real one.
OTHERWISE: Dict[str, str] = {
    "gunicorn.debug": "indrik.compat.debug",
    "gunicorn.errors": "indrik.compat.errors",
    "gunicorn.http": "indrik.compat.http",
    "gunicorn.http.body": "indrik.compat.http",
    "gunicorn.http.errors": "indrik.compat.http",
    "gunicorn.reloader": "indrik.compat.reloader",
    "gunicorn.six": "indrik.compat.six",
    "gunicorn.sock": "indrik.compat.sock",
    "gunicorn.util": "indrik.compat.util",
}

# What to do for those that are found nowhere.
_MISSING = {
    "gunicorn.pidfile": "the master writes the pid file: see the setting pidfile",
    "gunicorn.systemd": "the master takes the sockets of systemd and notifies it",
    "gunicorn.app.pasterapp": "apps of PasteDeploy are started with --paste FILE",
    "gunicorn.app.djangoapp": "name the module of Django's wsgi.py instead, as in myproject.wsgi",
    "gunicorn.workers.geventlet": "eventlet is gone from Gunicorn as well: the worker class gevent does the same",
    "gunicorn.dirty": "the master and the front do the work of its arbiter and its workers",
}


class Finder:
    """One of sys.meta_path. It knows what it has found."""

    def __init__(self) -> None:
        self.found: Set[str] = set()
        self._busy: Set[str] = set()  # modules whose real one is being looked for

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        top = name.partition(".")[0]
        if top not in ("gunicorn", "uvicorn", "uvicorn_worker") or name in self._busy:
            return None
        here = OWN.get(name)
        if here is None:
            if self._real(name, path) is not None:
                return None
            here = OTHERWISE.get(name)
        if name == "uvicorn" and _is_parent_of("uvicorn.workers"):
            here = "indrik.compat.uvicorn"
        if here is None and top == "gunicorn":
            raise ModuleNotFoundError(_missing(name), name=name)
        if here is None:
            return None
        self.found.add(name)
        spec: ModuleSpec = type(sys.__spec__)(name, Loader(here), origin=here)  # type: ignore[arg-type]
        # A package, whose other modules are those of the real one, if there is one.
        if name in _PACKAGES:
            real = self._real(name, path)
            spec.submodule_search_locations = list(real.submodule_search_locations or ()) if real else []
        return spec

    def _real(self, name: str, path: Optional[Sequence[str]]) -> Optional[ModuleSpec]:
        """Returns the spec of the module that others than this finder find."""
        self._busy.add(name)
        try:
            for finder in sys.meta_path:
                find = getattr(finder, "find_spec", None)
                if finder is not self and find is not None:
                    spec: Optional[ModuleSpec] = find(name, path, None)
                    if spec is not None:
                        return spec
            return None
        finally:
            self._busy.discard(name)


def _is_parent_of(child: str) -> bool:
    """Reports whether a module is imported only because it is the package of child. Found by
    itself it would be taken for the real one by code that asks whether that is there."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "_find_and_load_unlocked" and frame.f_locals.get("name") == child:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


_PACKAGES = {name.rpartition(".")[0] for name in [*OWN, *OTHERWISE]} | {"gunicorn.http"}


def _missing(name: str) -> str:
    parts = name.split(".")
    for end in range(len(parts), 1, -1):
        hint = _MISSING.get(".".join(parts[:end]))
        if hint is not None:
            return "no module named %r: %s" % (name, hint)
    return (
        "no module named %r: gunicorn is not installed here, and of this module Indrik has nothing; "
        "remove the import, or install gunicorn beside Indrik" % name
    )


class Loader:
    """Loads a module of this package under another name: both names are one module."""

    def __init__(self, here: str) -> None:
        self.here = here
        self._spec: Any = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.here)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just made it the spec of the other name.
        found, module.__spec__ = module.__spec__, self._spec
        if found is None:
            return
        more = found.submodule_search_locations
        if more is not None:
            # With the modules of the real one, where there is one.
            module.__path__ = [*getattr(module, "__path__", ()), *more]
            if self.here.startswith("indrik.compat."):
                vars(module).setdefault("__getattr__", _imports(found.name))


def _imports(package: str) -> Any:
    """Returns the __getattr__ of a package, which `from package import module` asks for a
    module that nobody has imported yet: the import system looks for it below the own name."""

    def __getattr__(name: str) -> Any:
        if not name.startswith("_"):
            try:
                return importlib.import_module(package + "." + name)
            except ModuleNotFoundError as e:
                if e.name != package + "." + name:
                    raise
        raise AttributeError("module %r has no attribute %r" % (package, name))

    return __getattr__


_FINDER = Finder()


def install() -> None:
    """Has imports find Gunicorn's modules here from now on, in this process and those that
    it forks."""
    if _FINDER in sys.meta_path:
        return
    for name in [n for n in sys.modules if n in OWN or n.partition(".")[0] == "gunicorn"]:
        del sys.modules[name]  # of an instrumentation that came first
    sys.meta_path.insert(0, _FINDER)


def found() -> List[str]:
    """Returns the names of the modules that were found here, without packages whose modules
    are in it too."""
    names = _FINDER.found
    return sorted(name for name in names if not any(other.startswith(name + ".") for other in names))
