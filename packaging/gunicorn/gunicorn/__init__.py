"""What is imported as gunicorn where Indrik is installed in its place: Indrik's own modules."""

import sys

from indrik.compat import finder

finder.install()
# The module that is being imported here gives way to that of the finder.
sys.modules[__name__] = __import__(__name__)
