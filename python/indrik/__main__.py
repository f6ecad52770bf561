"""python -m indrik ARGUMENTS: the server, with this interpreter for the app."""

import sys

from .launch import LaunchError, start

if __name__ == "__main__":
    try:
        start(sys.argv[1:])
    except LaunchError as e:
        sys.exit("Error: %s" % e)
