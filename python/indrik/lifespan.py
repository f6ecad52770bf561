"""The lifespan protocol of ASGI: the app hears of the start and the end of its
worker. https://asgi.readthedocs.io/en/latest/specs/lifespan.html"""

from __future__ import annotations

import asyncio

from .loader import BootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from .conversation import ASGIApp, Message
    from .glogging import Logger


class Lifespan:
    def __init__(self, app: ASGIApp, state: Dict[str, Any], log: Logger, mode: str) -> None:
        self.app = app
        self.state = state
        self.log = log
        self.mode = mode
        self.task: Optional[asyncio.Task[None]] = None
        self.asked = 0  # for how many events
        self.started: asyncio.Future[None]  # done once the app has answered lifespan.startup
        self.stopping: asyncio.Future[None]
        self.stopped: asyncio.Future[None]

    async def startup(self) -> None:
        """Starts the app; raises BootError if it cannot."""
        loop = asyncio.get_running_loop()
        self.started, self.stopping, self.stopped = (loop.create_future() for _ in range(3))
        self.task = loop.create_task(self._run())
        await asyncio.wait([self.task, self.started], return_when=asyncio.FIRST_COMPLETED)
        if self.started.done():
            error = self.started.exception()
            if error is not None:
                self.task.cancel()
                await asyncio.wait([self.task], timeout=1)
                raise BootError("ASGI lifespan startup failed: %s" % error)
            self.task.add_done_callback(self._ended)
            for task in asyncio.all_tasks() - {self.task, asyncio.current_task()}:
                task.add_done_callback(self._background_ended)
            return
        # It has ended without a word.
        self.started.cancel()
        error = None if self.task.cancelled() else self.task.exception()
        if self.mode == "on":
            if error is None:
                raise BootError("ASGI lifespan startup failed: the app does not know the lifespan protocol")
            raise BootError("ASGI lifespan startup failed: %s" % (str(error) or type(error).__name__)) from error
        self.log.debug("The app does not know the lifespan protocol", exc_info=error)
        self.task = None

    async def shutdown(self, limit: float) -> None:
        """Ends the app, in so many seconds at most."""
        if self.task is None or self.task.done():
            return  # how it ended is told already
        self.stopping.set_result(None)
        await asyncio.wait([self.task, self.stopped], timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if self.stopped.done():
            error = self.stopped.exception()
            if error is not None:
                self.log.error("ASGI lifespan shutdown failed: %s", error)
            else:
                # It may have something left to do after that.
                await asyncio.wait([self.task], timeout=limit)
        elif not self.task.done():
            self.log.warning("ASGI lifespan shutdown takes longer than graceful_timeout allows")
        if self.task.done() and not self.task.cancelled() and self.task.exception() is not None:
            self.log.error("Error in ASGI application at its shutdown", exc_info=self.task.exception())

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Logs at once the exception that has ended the lifespan while the app serves."""
        if self.stopping.done() or task.cancelled():
            return
        if self.stopped.done():
            self.stopped.exception()  # Starlette says the same by lifespan.shutdown.failed first
        if task.exception() is not None:
            self.log.error(
                "Error in ASGI application: its lifespan has ended while it serves", exc_info=task.exception()
            )

    def _background_ended(self, task: asyncio.Task[Any]) -> None:
        """Logs the exception of a task that the app has begun at its start. asyncio would log it
        only when nobody refers to the task any more, and an app keeps such tasks to its end."""

        def tell() -> None:
            # Nobody has waited for the task, or asked for its exception.
            if getattr(task, "_log_traceback", False):
                self.log.error("Error in ASGI application: a task of its lifespan has ended", exc_info=task.exception())

        task.get_loop().call_soon(tell)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        await self.app(scope, self.receive, self.send)

    async def receive(self) -> Message:
        self.asked += 1
        if self.asked == 1:
            return {"type": "lifespan.startup"}
        await asyncio.shield(self.stopping)
        return {"type": "lifespan.shutdown"}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        before = not self.started.done()
        if kind == "lifespan.startup.complete" and before:
            self.started.set_result(None)
        elif kind == "lifespan.startup.failed" and before:
            self.started.set_exception(RuntimeError(message.get("message") or "no reason was given"))
        elif kind == "lifespan.shutdown.complete" and not self.stopped.done():
            self.stopped.set_result(None)
        elif kind == "lifespan.shutdown.failed" and not self.stopped.done():
            self.stopped.set_exception(RuntimeError(message.get("message") or "no reason was given"))
        else:
            raise RuntimeError("%r is not expected now" % kind)
