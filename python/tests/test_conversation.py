"""What conversations of ASGI have in common: the task, the client that may go, and who waits for whom."""

import asyncio
import unittest
from unittest import mock

from indrik.conversation import Conversation, _comes_of_client_gone
from indrik.protocol import REPLY_ERROR, REPLY_FAIL, RESPONSE_WINDOW
from indrik.wire import ClientGone

from .support import LIMIT, strict


class Server:
    """As much of a worker as a conversation has to do with."""

    def __init__(self):
        self.sent, self.requests, self.buffer_waiters = [], {}, []
        self.stopping = self.expired = self.traced = False
        self.backlog = ()
        self.grace = None
        self.response_buffer = mock.Mock()
        self.response_buffer.is_free.return_value = True
        self.finished = 0

    def put(self, data):
        self.sent.append(strict(data))

    def finish_if_idle(self):
        self.finished += 1

    def wake_buffer_waiter(self):
        if self.buffer_waiters:
            self.buffer_waiters[0].wake_writers()


def coroutine(test):
    """Has asyncio run a test that is a coroutine, with a server for it."""

    async def run(self):
        self.server = Server()
        self.server.loop = asyncio.get_running_loop()
        self.log = mock.Mock()
        await asyncio.wait_for(test(self), LIMIT)

    def method(self):
        asyncio.run(run(self))

    method.__doc__ = test.__doc__
    return method


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


class ConversationTest(unittest.TestCase):
    def conversation(self, id=7):
        made = Conversation()
        made.server, made.log, made.id = self.server, self.log, id
        made.scope = {"method": "GET", "raw_path": b"/a\nb"}
        made.unfinished = made.fail
        self.server.requests[id] = made
        return made

    def begun(self, app, id=7):
        """Returns a conversation whose task runs an app."""
        made = self.conversation(id)
        made.task = asyncio.ensure_future(made.run(app, made.scope))
        return made


class Tasks(ConversationTest):
    @coroutine
    async def test_app_that_returns_too_early(self):
        async def app(scope, receive, send):
            pass

        await self.begun(app).task
        self.assertEqual((self.server.sent, self.server.requests), ([(REPLY_ERROR, 7)], {}))

    @coroutine
    async def test_app_that_has_answered(self):
        async def app(scope, receive, send):
            conversation.done = True

        conversation = self.begun(app)
        await conversation.task
        self.assertEqual(self.server.sent, [])

    @coroutine
    async def test_app_that_raises(self):
        for error in ValueError("broken"), SystemExit(3), KeyboardInterrupt():
            await self.begun(mock.AsyncMock(side_effect=error)).task
            self.log.exception.assert_called_with("Error in ASGI application")
            self.assertEqual(self.server.sent.pop(), (REPLY_ERROR, 7))

    @coroutine
    async def test_app_that_raises_after_its_answer(self):
        async def app(scope, receive, send):
            conversation.done = True
            raise ValueError("in the background")

        conversation = self.begun(app)
        await conversation.task
        self.log.exception.assert_called_once_with("Error in ASGI application")
        self.assertEqual(self.server.sent, [])

    @coroutine
    async def test_task_that_is_cancelled(self):
        async def app(scope, receive, send):
            await asyncio.sleep(LIMIT)

        for expired, gone, told, said in [
            (False, False, (REPLY_ERROR, 7), True),
            (False, True, (REPLY_ERROR, 7), False),
            (True, False, (REPLY_FAIL, 7, 504), False),
        ]:
            conversation = self.begun(app)
            self.server.expired, conversation.gone = expired, gone
            await settle()
            conversation.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await conversation.task
            self.assertEqual(self.server.sent.pop(), told)
            self.assertIs(self.log.error.called, said)
            self.log.reset_mock()

    @coroutine
    async def test_task_that_is_cancelled_after_its_answer(self):
        async def app(scope, receive, send):
            await asyncio.sleep(LIMIT)

        conversation = self.begun(app)
        conversation.done = True
        await settle()
        conversation.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await conversation.task
        self.assertEqual((self.server.sent, self.log.mock_calls), ([], []))

    @coroutine
    async def test_last_one_of_a_worker_that_ends(self):
        async def app(scope, receive, send):
            pass

        await self.begun(app).task
        self.assertEqual(self.server.finished, 0)
        self.server.stopping = True
        await self.begun(app).task
        self.assertEqual(self.server.finished, 1)


class Clients(ConversationTest):
    """The client goes while the app runs."""

    async def sleeps(self, scope, receive, send):
        await asyncio.sleep(LIMIT)

    @coroutine
    async def test_app_goes_on(self):
        conversation = self.begun(self.sleeps)
        await settle()
        conversation.on_gone()
        await settle()
        self.assertTrue(conversation.gone and conversation.is_over())
        self.assertFalse(conversation.task.done())
        conversation.cancel()
        await asyncio.wait([conversation.task])

    @coroutine
    async def test_at_once(self):
        self.server.grace = 0
        conversation = self.begun(self.sleeps)
        conversation.on_gone()  # before the task has begun
        with self.assertRaises(asyncio.CancelledError):
            await conversation.task
        text = "%s is cancelled: its client has gone, and asgi_disconnect_grace_period is %s s"
        self.log.info.assert_called_once_with(text, "GET /a\\nb", 0)

    @coroutine
    async def test_after_a_while(self):
        self.server.grace = 0.01
        conversation = self.begun(self.sleeps)
        conversation.on_gone()
        conversation.on_gone()  # is told once
        with self.assertRaises(asyncio.CancelledError):
            await conversation.task
        self.log.info.assert_called_once()

    @coroutine
    async def test_app_that_ends_in_time(self):
        async def app(scope, receive, send):
            conversation.done = True

        self.server.grace = LIMIT
        conversation = self.begun(app)
        conversation.on_gone()
        await conversation.task
        self.assertTrue(conversation.timer.cancelled())
        conversation.cut()
        self.log.info.assert_not_called()

    @coroutine
    async def test_before_there_is_a_task(self):
        conversation = self.conversation()
        conversation.cut()
        conversation.cancel()
        self.assertEqual(self.log.mock_calls, [])

    def test_what_comes_of_it(self):
        gone = ClientGone(32, "gone")
        wrapped, context = RuntimeError("of the framework"), ValueError("in a handler")
        wrapped.__cause__, context.__context__ = gone, wrapped
        for error, comes in (gone, True), (wrapped, True), (context, True), (ValueError("x"), False), (None, False):
            self.assertIs(_comes_of_client_gone(error), comes)
        circle = ValueError("x")
        circle.__context__ = KeyError("y")
        circle.__context__.__context__ = circle
        self.assertFalse(_comes_of_client_gone(circle))

    @coroutine
    async def test_errors_that_come_of_it(self):
        async def app(scope, receive, send):
            raise ClientGone(32, "gone")

        for gone in True, False:
            conversation = self.begun(app)
            conversation.gone = gone
            await conversation.task
            self.assertIs(self.log.exception.called, not gone)


class Waiting(ConversationTest):
    @coroutine
    async def test_credit(self):
        conversation = self.conversation()
        self.assertEqual(conversation.window, RESPONSE_WINDOW)
        await conversation.await_window()
        conversation.window = -5
        waiting = [asyncio.ensure_future(conversation.await_window()) for _ in range(2)]
        await settle()
        conversation.on_credit(5)
        await settle()
        self.assertFalse(any(task.done() for task in waiting))
        conversation.on_credit(1)
        await asyncio.gather(*waiting)

    @coroutine
    async def test_kernel_that_takes_nothing(self):
        drained = []

        async def await_drain():
            drained.append(True)

        self.server.backlog, self.server.await_drain = [b"x"], await_drain
        await self.conversation().await_window()
        self.assertEqual(drained, [True])

    @coroutine
    async def test_client_that_goes_meanwhile(self):
        conversation = self.conversation()
        conversation.window = 0
        waiting = asyncio.ensure_future(conversation.await_window())
        await settle()
        conversation.on_gone()
        with self.assertRaises(ClientGone):
            await waiting

    @coroutine
    async def test_end_wakes_everybody(self):
        conversation = self.conversation()
        waiting = [conversation.wait_reader(), conversation.wait_reader(), conversation.wait_writer()]
        waiting = [asyncio.ensure_future(w) for w in waiting]
        await settle()
        waiting[1].cancel()
        conversation.fail()
        await asyncio.wait(waiting)
        self.assertEqual([task.cancelled() for task in waiting], [False, True, False])
        self.assertEqual((conversation.readers, conversation.writers), (None, None))


class Buffer(ConversationTest):
    """The response buffer, which one conversation has at a time: first come, first served."""

    def in_use(self, used=True):
        self.server.response_buffer.is_free.return_value = not used
        if not used:
            self.server.wake_buffer_waiter()

    def waiting(self, *ids):
        made = [self.conversation(id) for id in ids]
        return made, [asyncio.ensure_future(c.await_buffer()) for c in made]

    @coroutine
    async def test_free(self):
        await self.conversation().await_buffer()
        self.assertEqual(self.server.buffer_waiters, [])

    @coroutine
    async def test_order(self):
        self.in_use()
        conversations, tasks = self.waiting(1, 2, 3)
        await settle()
        self.assertEqual(self.server.buffer_waiters, conversations)
        for i in range(3):
            self.in_use(False)
            await settle()
            self.assertEqual([task.done() for task in tasks], [True] * (i + 1) + [False] * (2 - i))
            self.in_use()  # by the one that was served

    @coroutine
    async def test_no_overtaking(self):
        self.in_use()
        (first,), (task,) = self.waiting(1)
        await settle()
        self.server.response_buffer.is_free.return_value = True
        late = asyncio.ensure_future(self.conversation(2).await_buffer())
        await settle()
        self.assertFalse(late.done())
        first.wake_writers()
        await task
        self.server.wake_buffer_waiter()
        await late

    @coroutine
    async def test_who_leaves_passes_the_turn_on(self):
        self.in_use()
        (first, second, _), tasks = self.waiting(1, 2, 3)
        await settle()
        tasks[1].cancel()
        first.on_gone()
        await settle()
        self.assertIsInstance(tasks[0].exception(), ClientGone)
        self.assertNotIn(second, self.server.buffer_waiters)
        self.in_use(False)
        await tasks[2]
        self.assertEqual(self.server.buffer_waiters, [])
