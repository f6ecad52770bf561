"""Patches the standard library for workers of kind gevent, before anything else is
imported: a greenlet that waits in a function of it lets others run.

That happens in the spawner, which itself keeps the functions that it had: its
loop is no greenlet.
"""

from __future__ import annotations

import sys
import traceback

from . import interpreter

OLDEST = [24, 10, 1]


class PatchError(Exception):
    """gevent is not there, or too old."""


def patch(name: str) -> None:
    """Patches the standard library; name is the value of worker_class. A second call
    does nothing."""
    try:
        _patch()
    except NotInstalled as e:
        raise PatchError("\nError: class uri %r invalid or not found: %s" % (name, e)) from None
    except (ImportError, RuntimeError):
        raise PatchError(
            "\nError: class uri %r invalid or not found: \n\n[%s]" % (name, traceback.format_exc().rstrip("\n"))
        ) from None


class NotInstalled(Exception):
    pass


def _patch() -> None:
    try:
        import gevent
    except ModuleNotFoundError as e:
        if e.name != "gevent":
            raise
        raise NotInstalled("gevent is not installed for %s: pip install gevent" % interpreter.name()) from None
    found = [int(part) for part in gevent.__version__.split(".") if part.isdigit()]  # 24.11.1, 25.4.1.dev0
    if found < OLDEST:
        raise NotInstalled(
            "gevent worker requires gevent %s or higher, and %s is installed for %s: pip install -U gevent"
            % (".".join(map(str, OLDEST)), gevent.__version__, interpreter.name())
        )
    from gevent import monkey

    if not monkey.is_module_patched("socket"):
        monkey.patch_all()


def sigchld_was_taken() -> None:
    """Tells gevent that its handler of SIGCHLD was replaced: it puts it back when
    it starts a process the next time, which it would wait for in vain otherwise."""
    if "gevent.hub" in sys.modules:
        from gevent._hub_local import get_hub_if_exists  # get_hub() would make one

        hub = get_hub_if_exists()
        if hub is not None:
            hub.loop.reset_sigchld()


def after_fork() -> None:
    """Readies gevent for a new process."""
    import gevent

    gevent.reinit()
