"""An ASGI worker with the compiled code of indrik-speed.

What send() and receive() return stays a coroutine of Python, since apps make tasks of it.
"""

from __future__ import annotations

import asyncio
from marshal import loads

from .asgi import CLAIMED, ASGIServer
from .asgihttp import HTTPConversation
from .protocol import MAX_MESSAGE, SCOREBOARD_FRONT, SCOREBOARD_REVOCATIONS
from .wire import MIN_PLACED
from .wsgienviron import KNOWN_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from .conversation import Message
    from .worker import Worker


def server(worker: Worker) -> ASGIServer:
    """Returns the server of a worker. Both classes have a compiled one before their own: the
    attributes that it needs are then in the places that it knows."""
    speed: Any = worker.speed

    class Conversation(speed.Conversation, HTTPConversation):  # type: ignore[misc]
        async def receive(self) -> Message:
            message: Message = self.received()
            return message if message is not None else await self._receive()

        async def send(self, message: Message) -> None:
            if not self.takes(message):
                await HTTPConversation.send(self, message)

    class Server(speed.Server, ASGIServer):  # type: ignore[misc]
        def start(self) -> None:
            super().start()
            conversation = type("HTTPConversation", (Conversation,), {"server": self, "log": self.log})
            self.conversations["http"] = conversation
            task: Any = asyncio.Task
            options: Dict[str, Any] = {"loop": self.loop}
            if self.eager:
                options["eager_start"] = True
            elif not self.plain:
                task, options = self.loop.create_task, {}
            self.prepare(
                buffer=self.buffer,
                loads=loads,
                task=task,
                task_options=options,
                conversation=conversation,
                recall=self.recall,
                known=self.known,
                revocations=self.revocations,
                memory=self.scoreboard.obj,
                claimed_at=8 * CLAIMED,
                revocations_at=8 * SCOREBOARD_REVOCATIONS,
                front_at=8 * SCOREBOARD_FRONT,
                most_body=MIN_PLACED - 1,
                most_message=MAX_MESSAGE,
                most_known=KNOWN_SIZE,
            )
            self.usual = self.begin_usual

    return Server(worker)
