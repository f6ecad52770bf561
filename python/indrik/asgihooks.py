"""The hooks pre_request and post_request around a request of ASGI."""

from __future__ import annotations

import logging

from . import hookview

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from .conversation import ASGIApp, Conversation, Receive, Scope, Send
    from .hookview import Request
    from .worker import Worker


def of(worker: Worker) -> Optional[Callable[[Conversation], ASGIApp]]:
    """Returns a function that makes an app, with the hooks around it, for a request;
    None if there are no hooks."""
    log, hooks, app, shown = worker.log, worker.cfg.hooks, worker.wsgi, worker.shown
    before = hooks.get("pre_request")
    after = hooks.get("post_request")
    if before is None and log.error_log.isEnabledFor(logging.DEBUG):

        def before(worker: Any, req: Request) -> None:
            worker.log.debug("%s %s", req.method, req.path)

    if before is None and after is None:
        return None

    def hooked(conversation: Conversation) -> ASGIApp:
        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            environ = hookview.environ(scope)
            req = hookview.Request(environ)
            failed = True
            try:
                if before is not None:
                    with worker.forks:
                        before(shown, req)
                    req.apply_to(scope)
                await app(scope, receive, send)
                failed = False
            finally:
                if after is not None:
                    try:
                        with worker.forks:
                            after(shown, req, environ, hookview.Response(hookview.ASGIOutcome(conversation), failed))
                    except Exception:
                        log.exception("Exception in post_request hook")
                worker.heed()

        return application

    return hooked
