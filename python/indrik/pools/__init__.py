"""Pools: workers beside those of the app, for work that is long, or that needs much memory or a
device. An app of a pool is a class, whose object is there in each worker of the pool:

    class Model(indrik.pools.DirtyApp):
        def init(self):
            self.model = load()

        def predict(self, text):
            return self.model(text)

and any worker calls its methods:

    answer = indrik.pools.execute("ml:Model", "predict", "a text")
    for token in indrik.pools.stream("ml:Model", "generate", "a text"): ...

Arguments and results are None, bool, int, float, str, bytes, and lists and dicts of these. The
package gunicorn.dirty is this one. docs/pools.md says how pools are set up.
"""

from __future__ import annotations

from . import stash
from .app import DirtyApp
from .client import (
    DirtyAsyncStreamIterator,
    DirtyClient,
    DirtyStreamIterator,
    close_dirty_client,
    close_dirty_client_async,
    get_dirty_client,
    get_dirty_client_async,
)
from .current import cancelled
from .errors import (
    DirtyActionNotFoundError,
    DirtyAppError,
    DirtyAppNotFoundError,
    DirtyConnectionError,
    DirtyError,
    DirtyNoWorkersAvailableError,
    DirtyPoolFullError,
    DirtyProtocolError,
    DirtyResultError,
    DirtyTimeoutError,
    DirtyWorkerError,
)
from .stash import (
    StashClient,
    StashError,
    StashFullError,
    StashKeyNotFoundError,
    StashTable,
    StashTableNotFoundError,
)

__all__ = [
    "DirtyActionNotFoundError",
    "DirtyApp",
    "DirtyAppError",
    "DirtyAppNotFoundError",
    "DirtyAsyncStreamIterator",
    "DirtyClient",
    "DirtyConnectionError",
    "DirtyError",
    "DirtyNoWorkersAvailableError",
    "DirtyPoolFullError",
    "DirtyProtocolError",
    "DirtyResultError",
    "DirtyStreamIterator",
    "DirtyTimeoutError",
    "DirtyWorkerError",
    "StashClient",
    "StashError",
    "StashFullError",
    "StashKeyNotFoundError",
    "StashTable",
    "StashTableNotFoundError",
    "cancelled",
    "close_dirty_client",
    "close_dirty_client_async",
    "execute",
    "execute_async",
    "get_dirty_client",
    "get_dirty_client_async",
    "stash",
    "stream",
    "stream_async",
]

# Calls without a time limit of the caller: that of the pool is the only one.
_client = DirtyClient(None)

execute = _client.execute
execute_async = _client.execute_async
stream = _client.stream
stream_async = _client.stream_async
