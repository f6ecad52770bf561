"""The command gunicorn, and python -m gunicorn: the server."""

import sys
from importlib import metadata

from indrik.launch import LaunchError, start


def main():
    try:
        real = metadata.version("gunicorn")
    except metadata.PackageNotFoundError:
        pass
    else:
        sys.exit(
            "Error: gunicorn %s is installed in %s, and indrik-gunicorn too; both are the same command. Remove one:\n"
            "  %s -m pip uninstall indrik-gunicorn && %s -m pip install --force-reinstall gunicorn\n"
            "  %s -m pip uninstall gunicorn && %s -m pip install --force-reinstall --no-deps indrik-gunicorn"
            % (real, sys.prefix, *[sys.executable] * 4)
        )
    try:
        start(sys.argv[1:])
    except LaunchError as e:
        sys.exit("Error: %s" % e)


if __name__ == "__main__":
    main()
