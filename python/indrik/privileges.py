"""Gives up the rights of the first user, and keeps a process, and all that it starts, from
getting more rights than it has."""

from __future__ import annotations

import os
import sys

from . import stdlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .config import Config

_PR_SET_NO_NEW_PRIVS = 38  # prctl(2)


class PrivilegesError(Exception):
    """worker_no_new_privs cannot be had here."""


def are_limited(cfg: Config, changes: bool) -> bool:
    """Reports whether a worker is to get no more rights; changes: it gets another user."""
    wanted: Any = cfg.get("worker_no_new_privs")
    if wanted is None:
        return changes and sys.platform == "linux"
    return bool(wanted)


def prepare() -> Any:
    """Imports the modules that limit needs, so that workers need not. Raises PrivilegesError."""
    if sys.platform != "linux":
        raise PrivilegesError("only Linux can do that")
    try:
        ctypes = stdlib.load("ctypes")
    except ImportError as e:
        raise PrivilegesError("the module ctypes is missing: %s" % e) from None
    return ctypes.CDLL(None, use_errno=True).prctl


def limit() -> None:
    """Sets the flag no_new_privs of this thread, which nobody can take back: threads that it
    starts have it too. Raises PrivilegesError."""
    if prepare()(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise PrivilegesError("the kernel refuses it")


def become(cfg: Config) -> None:
    """Gives up the first user for good, if another one is configured."""
    uid, gid, initgroups = cfg.uid, cfg.gid, cfg.get("initgroups")
    changes = uid is not None and uid != os.geteuid()
    if gid is not None and gid != os.getegid():
        os.setgid(gid)
    if initgroups and uid is not None:
        pwd = stdlib.load("pwd")
        try:
            os.initgroups(pwd.getpwuid(uid).pw_name, os.getegid() if gid is None else gid)
        except KeyError:
            pass  # a number without a name has no groups
    elif changes and os.geteuid() == 0:
        os.setgroups([])  # those of root are not for others
    if uid is not None and changes:
        os.setuid(uid)
    if are_limited(cfg, changes):
        limit()
