"""The lifespan protocol of ASGI: the app hears of the start and of the end of its worker."""

import asyncio
import contextlib
import unittest
from unittest import mock

from indrik.lifespan import Lifespan
from indrik.loader import BootError

from . import support

COMPLETE = {"type": "lifespan.startup.complete"}
ENDED = {"type": "lifespan.shutdown.complete"}


def run(test):
    """Has asyncio run a test that is a coroutine."""

    def method(self):
        asyncio.run(asyncio.wait_for(test(self), support.LIMIT))

    method.__doc__ = test.__doc__
    return method


class LifespanTest(unittest.TestCase):
    def setUp(self):
        self.log = mock.Mock()
        self.state = {}

    def lifespan(self, app, mode="auto"):
        return Lifespan(app, self.state, self.log, mode)

    def told(self, name):
        return [call[0][0] % call[0][1:] for call in getattr(self.log, name).call_args_list]


class Startup(LifespanTest):
    @run
    async def test_whole_life(self):
        heard = []

        async def app(scope, receive, send):
            heard.append(scope)
            heard.append(await receive())
            scope["state"]["pool"] = 1
            await send(COMPLETE)
            heard.append(await receive())
            await send(ENDED)

        lifespan = self.lifespan(app)
        await lifespan.startup()
        self.assertEqual(self.state, {"pool": 1})
        self.assertEqual(len(heard), 2)
        await lifespan.shutdown(support.LIMIT)
        self.assertEqual((heard[0]["type"], heard[0]["asgi"]), ("lifespan", {"version": "3.0", "spec_version": "2.0"}))
        self.assertEqual([m["type"] for m in heard[1:]], ["lifespan.startup", "lifespan.shutdown"])
        self.assertEqual(self.log.mock_calls, [])

    @run
    async def test_failure(self):
        for message, text in ({"message": "no database"}, "no database"), ({}, "no reason was given"):

            async def app(scope, receive, send, message=message):
                await receive()
                await send(dict(message, type="lifespan.startup.failed"))
                await asyncio.sleep(support.LIMIT)

            lifespan = self.lifespan(app)
            with self.assertRaisesRegex(BootError, "^ASGI lifespan startup failed: %s$" % text):
                await lifespan.startup()
            self.assertTrue(lifespan.task.cancelled())

    @run
    async def test_app_that_does_not_know_it(self):
        async def raises(scope, receive, send):
            raise KeyError("path")

        async def returns(scope, receive, send):
            pass

        for app in raises, returns:
            lifespan = self.lifespan(app)
            await lifespan.startup()
            await lifespan.shutdown(support.LIMIT)  # does nothing
        self.assertEqual(self.told("debug"), ["The app does not know the lifespan protocol"] * 2)
        self.assertEqual(self.log.error.mock_calls, [])

    @run
    async def test_app_that_has_to_know_it(self):
        async def raises(scope, receive, send):
            raise KeyError("path")

        async def silent(scope, receive, send):
            raise ZeroDivisionError

        async def returns(scope, receive, send):
            pass

        for app, text in (
            (raises, "'path'"),
            (silent, "ZeroDivisionError"),
            (returns, "the app does not know the lifespan protocol"),
        ):
            with self.assertRaisesRegex(BootError, "^ASGI lifespan startup failed: %s$" % text):
                await self.lifespan(app, "on").startup()

    @run
    async def test_messages_out_of_order(self):
        async def app(scope, receive, send):
            await receive()
            for message in COMPLETE, COMPLETE, {"type": "lifespan.startup.failed"}, {"type": "nix"}:
                try:
                    await send(message)
                except RuntimeError as e:
                    refused.append(str(e))
            await receive()
            await send(ENDED)
            try:
                await send(dict(ENDED, type="lifespan.shutdown.failed"))
            except RuntimeError as e:
                refused.append(str(e))

        refused = []
        lifespan = self.lifespan(app)
        await lifespan.startup()
        await lifespan.shutdown(support.LIMIT)
        kinds = ["lifespan.startup.complete", "lifespan.startup.failed", "nix", "lifespan.shutdown.failed"]
        self.assertEqual(refused, ["%r is not expected now" % kind for kind in kinds])


class Serving(LifespanTest):
    """What an app has begun at its start, while it serves."""

    async def settle(self):
        for _ in range(5):
            await asyncio.sleep(0)

    @run
    async def test_lifespan_that_ends(self):
        ends = asyncio.Event()

        async def app(scope, receive, send):
            await receive()
            await send(COMPLETE)
            await ends.wait()
            raise ValueError("in the middle")

        lifespan = self.lifespan(app)
        await lifespan.startup()
        self.assertEqual(self.told("error"), [])
        ends.set()
        await self.settle()
        self.assertEqual(self.told("error"), ["Error in ASGI application: its lifespan has ended while it serves"])
        self.assertEqual(str(self.log.error.call_args[1]["exc_info"]), "in the middle")
        await lifespan.shutdown(support.LIMIT)
        self.assertEqual(len(self.told("error")), 1)  # how it ended is told already

    @run
    async def test_lifespan_that_says_so_first(self):
        """Starlette says the same by lifespan.shutdown.failed before it raises."""

        async def app(scope, receive, send):
            await receive()
            await send(COMPLETE)
            await asyncio.sleep(0)
            await send({"type": "lifespan.shutdown.failed", "message": "broken"})
            raise ValueError("broken")

        lifespan = self.lifespan(app)
        await lifespan.startup()
        await self.settle()
        self.assertEqual(len(self.told("error")), 1)

    @run
    async def test_lifespan_that_returns(self):
        async def app(scope, receive, send):
            await receive()
            await send(COMPLETE)

        lifespan = self.lifespan(app)
        await lifespan.startup()
        await self.settle()
        await lifespan.shutdown(support.LIMIT)
        self.assertEqual(self.log.mock_calls, [])

    def with_task(self, background):
        async def app(scope, receive, send):
            await receive()
            self.task = asyncio.ensure_future(background())
            await send(COMPLETE)
            await receive()
            await send(ENDED)

        return self.lifespan(app)

    @run
    async def test_task_that_fails(self):
        go = asyncio.Event()

        async def background():
            await go.wait()
            raise ValueError("of the task")

        lifespan = self.with_task(background)
        await lifespan.startup()
        go.set()
        await self.settle()
        self.assertEqual(self.told("error"), ["Error in ASGI application: a task of its lifespan has ended"])
        self.assertEqual(str(self.log.error.call_args[1]["exc_info"]), "of the task")
        self.task.exception()
        await lifespan.shutdown(support.LIMIT)

    @run
    async def test_task_that_is_waited_for(self):
        """Who waits for a task hears of its exception."""

        go = asyncio.Event()

        async def background():
            await go.wait()
            raise ValueError("of the task")

        lifespan = self.with_task(background)
        await lifespan.startup()
        go.set()
        with contextlib.suppress(ValueError):
            await self.task
        await self.settle()
        self.assertEqual(self.told("error"), [])
        await lifespan.shutdown(support.LIMIT)

    @run
    async def test_task_that_is_cancelled(self):
        async def background():
            await asyncio.sleep(support.LIMIT)

        lifespan = self.with_task(background)
        await lifespan.startup()
        self.task.cancel()
        await self.settle()
        self.assertEqual(self.told("error"), [])
        await lifespan.shutdown(support.LIMIT)


class Shutdown(LifespanTest):
    def app(self, end):
        async def app(scope, receive, send):
            await receive()
            await send(COMPLETE)
            await receive()
            await end(send)

        return self.lifespan(app)

    @run
    async def test_failure(self):
        for message, text in ({"message": "not flushed"}, "not flushed"), ({}, "no reason was given"):

            async def end(send, message=message):
                await send(dict(message, type="lifespan.shutdown.failed"))

            lifespan = self.app(end)
            await lifespan.startup()
            await lifespan.shutdown(support.LIMIT)
            self.assertEqual(self.told("error")[-1], "ASGI lifespan shutdown failed: " + text)

    @run
    async def test_error(self):
        async def end(send):
            raise ValueError("at the end")

        lifespan = self.app(end)
        await lifespan.startup()
        await lifespan.shutdown(support.LIMIT)
        self.assertEqual(self.told("error"), ["Error in ASGI application at its shutdown"])
        self.assertEqual(str(self.log.error.call_args[1]["exc_info"]), "at the end")

    @run
    async def test_work_after_the_answer(self):
        async def end(send):
            await send(ENDED)
            for _ in range(10):
                await asyncio.sleep(0)
            done.append(True)

        done = []
        lifespan = self.app(end)
        await lifespan.startup()
        await lifespan.shutdown(support.LIMIT)
        self.assertEqual(done, [True])

    @run
    async def test_limit(self):
        async def end(send):
            await asyncio.sleep(support.LIMIT * 2)

        lifespan = self.app(end)
        await lifespan.startup()
        await lifespan.shutdown(0.01)
        self.assertEqual(self.told("warning"), ["ASGI lifespan shutdown takes longer than graceful_timeout allows"])
        lifespan.task.cancel()

    @run
    async def test_app_that_never_asks(self):
        """It hears nothing of the end, and is not waited for longer than allowed."""

        async def app(scope, receive, send):
            await receive()
            await send(COMPLETE)
            await asyncio.sleep(support.LIMIT * 2)

        lifespan = self.lifespan(app)
        await lifespan.startup()
        await lifespan.shutdown(0.01)
        self.assertEqual(len(self.told("warning")), 1)
        lifespan.task.cancel()

    @run
    async def test_before_the_start(self):
        await self.lifespan(None).shutdown(support.LIMIT)
        self.assertEqual(self.log.mock_calls, [])
