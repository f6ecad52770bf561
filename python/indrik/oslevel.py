"""Functions of the operating system that all processes of this server use."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys

# By its number on Linux: C libraries differ in SIGRTMIN.
DUMP = 40 if sys.platform == "linux" else getattr(signal, "SIGINFO", None)


def write_stacks_to(fd: int) -> None:
    """Lets the master ask for the stacks of all threads of this process, which are
    written to a descriptor, also while one of them keeps the interpreter to itself."""
    os.set_inheritable(fd, False)
    if DUMP is not None and hasattr(faulthandler, "register"):
        faulthandler.register(DUMP, file=fd, all_threads=True, chain=False)
