"""Where a test holds up an app: a gate is a named pipe that the test makes.

Passing a gate that does not exist costs nothing. At one that exists the app
waits until the test has seen it and closed its end.
"""

import os
import select
import sys
import time


def wait(name):
    path = os.path.join(os.environ["GATES"], name)
    try:
        if "gevent" in sys.modules:
            _wait_in_greenlet(path)
        else:
            with open(path, "rb") as pipe:
                pipe.read()
    except FileNotFoundError:
        return


def _wait_in_greenlet(path):
    """Waits without holding up the hub, as open(2) would."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        # A pipe that had no writer yet has not been hung up (poll(2)).
        while os.path.exists(path) and not _hung_up(fd):
            time.sleep(0.005)
    finally:
        os.close(fd)


def _hung_up(fd):
    poll = select.poll()
    poll.register(fd, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))
