"""What runs in a process beside its main thread."""

import glob
import sys
import threading

# Taken at import time: where gevent has patched it, it names greenlets.
from threading import get_ident


def running():
    """Returns threads of Python and child processes, as pairs of what it is and its number."""
    # The ident of a thread that has ended is given to another one.
    named = {t.ident: t.native_id for t in threading.enumerate()}
    found = {("thread", named.get(ident, ident)) for ident in sys._current_frames()}
    me = get_ident()
    found.discard(("thread", named.get(me, me)))
    for path in glob.glob("/proc/self/task/*/children"):
        try:
            with open(path) as f:
                found.update(("process", int(pid)) for pid in f.read().split())
        except OSError:
            pass
    return found
