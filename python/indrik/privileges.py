"""Keeps a process, and all that it starts, from getting more rights than it has."""

import sys

from . import stdlib

_PR_SET_NO_NEW_PRIVS = 38  # prctl(2)


class PrivilegesError(Exception):
    """That cannot be done here."""


def are_limited(cfg, changes):
    """Reports whether a worker is to be kept so; changes: it gets another user."""
    wanted = cfg.get("worker_no_new_privs")
    return changes and sys.platform == "linux" if wanted is None else wanted


def prepare():
    """Imports what limit needs, so that workers need not. Raises PrivilegesError."""
    if sys.platform != "linux":
        raise PrivilegesError("only Linux can do that")
    try:
        ctypes = stdlib.load("ctypes")
    except ImportError as e:
        raise PrivilegesError("the module ctypes is missing: %s" % e) from None
    return ctypes.CDLL(None, use_errno=True).prctl


def limit():
    """Sets the flag, which nobody can take back, of this thread: those that it starts
    have it too. Raises PrivilegesError."""
    if prepare()(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise PrivilegesError("the kernel refuses it")
