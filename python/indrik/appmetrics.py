"""The metrics that an app keeps with the library prometheus_client, for those who read them
at admin_bind.

That library decides by an environment variable, when it is imported, whether the values are
in the memory of the process or in files that the process maps: that is its multi-process mode,
in which a reader can add up the values of all processes. Each file is opened when it is first
needed, in the directory that the variable names then. So a worker can have another directory
than its spawner: each user has its own, in which nobody else could put a link for it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from .glogging import Logger

# Before version 0.10 the library knows the second one only; later ones prefer the first.
_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


def choose(directory: Optional[str], log: Logger) -> str:
    """Returns the directory, or an empty string if the app's metrics are not to be shown:
    the operator has set up the library, or it is too late for that."""
    if not directory:
        return ""
    for name in _VARIABLES:
        if name in os.environ:
            log.info("The app's metrics are not shown at admin_bind: %s is set, so they are where that says", name)
            return ""
    values = sys.modules.get("prometheus_client.values")
    if values is not None and not getattr(values.ValueClass, "_multiprocess", True):
        log.warning(
            "The app's metrics are not shown at admin_bind: prometheus_client was imported before the app, "
            "by the config file or by what that imports. Import it in a hook instead"
        )
        return ""
    return directory


def use(directory: str, put: Callable[[str, str], object] = os.environ.__setitem__) -> None:
    """Has the library put its files into the directory, where this process's user has its
    own, from now on."""
    if directory:
        path = os.path.join(directory, str(os.geteuid()))
        for name in _VARIABLES:
            put(name, path)
