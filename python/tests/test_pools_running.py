"""What a worker of a pool does with calls: results, streams, errors, and calls that nobody
waits for any longer."""

import asyncio
import contextlib
import contextvars
import logging
import sys
import threading
import types
import unittest
from unittest import mock

from indrik import callconn
from indrik.pools import DirtyApp, cancelled, tlv
from indrik.pools.app import get_app_workers_attribute, load_dirty_apps, parse_dirty_app_spec
from indrik.pools.errors import DirtyAppError, DirtyAppNotFoundError
from indrik.pools.running import Apps

from .support.messages import LIMIT
from .support.pools import Call

mark = contextvars.ContextVar("mark", default="")


class Unprintable(Exception):
    def __str__(self):
        raise ValueError


class Iterating:
    """An iterator that is no generator."""

    def __init__(self):
        self.left = [3, 2, 1]

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop()


class Sample(DirtyApp):
    workers = 3
    stashes = ("table",)
    state = "new"

    def __init__(self):
        self.ended = []
        self.changed = threading.Condition()
        self.go = threading.Event()

    def end(self, what):
        with self.changed:
            self.ended.append(what)
            self.changed.notify_all()

    def wait(self, what):
        with self.changed:
            assert self.changed.wait_for(lambda: what in self.ended, LIMIT)

    async def init(self):
        await asyncio.sleep(0)
        self.state = "ready"

    async def close(self):
        self.state = "closed"

    def add(self, *args, **kwargs):
        return [list(args), kwargs, self.state]

    async def add_async(self, a, b):
        await asyncio.sleep(0)
        return a + b

    def parts(self, n):
        try:
            yield from range(n)
        finally:
            self.end("parts")

    async def parts_async(self, n):
        # What is set in one part is there in the next: it is one task.
        mark.set("here")
        try:
            for i in range(n):
                await asyncio.sleep(0)
                yield [i, mark.get()]
        finally:
            await asyncio.sleep(0.01)  # which a second cancellation would interrupt
            self.end("parts_async")

    async def later(self):
        return self.parts(2)

    def iterator(self):
        return Iterating()

    def fail(self):
        raise KeyError("no such thing")

    def leave(self):
        sys.exit(3)

    def unprintable(self):
        raise Unprintable

    def odd(self):
        raise ValueError("\ud800" + 100000 * "x")

    def unfit(self):
        return {"a": {1}}

    def parts_unfit(self):
        yield 1
        yield object()

    async def parts_failing(self):
        yield 1
        raise ValueError("in the middle")

    async def hang(self):
        try:
            self.end("hanging")
            await asyncio.Event().wait()
        finally:
            self.end("hang")

    async def hang_between(self):
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            self.end("hang_between")

    def asked(self):
        self.end("asking")
        self.go.wait(LIMIT)
        return cancelled()


class RunningTest(unittest.TestCase):
    def setUp(self):
        self.log = logging.getLogger("test_pools")
        self.log.propagate = False
        self.lines = []
        self.log.handlers = [mock.Mock(level=0, handle=lambda record: self.lines.append(record.getMessage()))]
        self.log.setLevel(logging.DEBUG)
        self.apps = Apps(self.log)
        self.addCleanup(self.apps.close)
        with mock.patch("indrik.pools.stash.ensure") as ensure:
            self.apps.load([__name__ + ":Sample"])
        self.assertEqual(ensure.mock_calls, [mock.call("table")])
        self.app = self.apps.apps[__name__ + ":Sample"]

    def call(self, action, /, *args, **kwargs):
        return self.start(Call(), action, *args, **kwargs)

    def start(self, call, action, /, *args, **kwargs):
        self.addCleanup(call.close)
        self.apps.run(__name__ + ":Sample", action, tlv.encode([args, kwargs]), call)
        return call

    @contextlib.contextmanager
    def running(self, action, *args, room=None):
        """Runs a call in a thread, which has ended at the end of the block."""
        call = Call(room)
        thread = threading.Thread(target=self.start, args=(call, action, *args))
        thread.start()
        try:
            yield call
        finally:
            thread.join(LIMIT)
            self.assertFalse(thread.is_alive())

    def fails(self, call, kind, *words):
        self.assertEqual(call.kinds()[-1], callconn.ERROR)
        error = call.values()[-1]
        self.assertEqual(error["error_type"], kind)
        for word in words:
            self.assertIn(word, error["message"] + error["details"]["traceback"])
        return error


class Results(RunningTest):
    def test_result(self):
        call = self.call("add", 1, b"2", c=[None])
        self.assertEqual(call.values(), [[[1, b"2"], {"c": [None]}, "ready"]])
        self.assertEqual(call.kinds(), [callconn.RESULT])

    def test_the_names_of_arguments_are_free(self):
        self.assertEqual(self.call("add", action=1).values(), [[[], {"action": 1}, "ready"]])

    def test_coroutine(self):
        self.assertEqual(self.call("add_async", 1, 2).values(), [3])

    def test_streams(self):
        for action, args, want in [
            ("parts", [3], [0, 1, 2]),
            ("parts", [0], []),
            ("parts_async", [2], [[0, "here"], [1, "here"]]),
            ("parts_async", [0], []),
            ("parts_async", [100], [[i, "here"] for i in range(100)]),
            ("later", [], [0, 1]),
            ("iterator", [], [1, 2, 3]),
        ]:
            with self.subTest(action, args=args):
                call = self.call(action, *args)
                self.assertEqual(call.values()[:-1], want)
                self.assertEqual(call.kinds(), [callconn.CHUNK] * len(want) + [callconn.END])

    def test_end(self):
        self.apps.close()
        self.assertEqual(self.app.state, "closed")
        self.assertIn("Closed dirty app: %s:Sample" % __name__, self.lines)


class Errors(RunningTest):
    def test_an_action_that_raises(self):
        error = self.fails(self.call("fail"), "DirtyAppError", "no such thing", 'raise KeyError("no such thing")')
        self.assertEqual(error["message"], "'no such thing'")
        self.assertEqual(error["details"]["exception"], "KeyError")
        self.assertEqual([error["details"]["app_path"], error["details"]["action"]], [__name__ + ":Sample", "fail"])
        self.assertNotIn("pools/running.py", error["details"]["traceback"])
        self.assertTrue(self.lines[-1].startswith("Error executing %s:Sample.fail: 'no such thing'\nTrace" % __name__))

    def test_a_result_that_cannot_be_sent(self):
        self.fails(self.call("unfit"), "DirtyResultError", "set (at ['a'])")
        call = self.call("parts_unfit")
        self.fails(call, "DirtyResultError", "object")
        self.assertEqual(call.kinds(), [callconn.CHUNK, callconn.ERROR])
        with mock.patch.object(Call, "emit", side_effect=[ValueError("too large"), None]) as emit:
            call = self.call("parts", 1)
        self.assertEqual(emit.call_args[0][0], callconn.ERROR)
        self.assertEqual(tlv.decode(emit.call_args[0][1])["error_type"], "DirtyResultError")

    def test_a_stream_that_raises(self):
        call = self.call("parts_failing")
        self.fails(call, "DirtyAppError", "in the middle")
        self.assertEqual(call.kinds(), [callconn.CHUNK, callconn.ERROR])

    def test_no_such_action(self):
        for action in ("nothing", "_private", "__init__", "init", "close", "state", ""):
            with self.subTest(action):
                self.fails(self.call(action), "DirtyActionNotFoundError", "Unknown action: " + action)
        self.assertEqual(self.app.state, "ready")

    def test_no_such_app(self):
        call = Call()
        self.addCleanup(call.close)
        self.apps.run("other:App", "add", tlv.encode([[], {}]), call)
        self.fails(call, "DirtyAppNotFoundError", "other:App")

    def test_arguments_that_are_none(self):
        for value in (None, [], [[]], [[], []], [{}, {}], [[], {}, 1]):
            call = Call()
            self.addCleanup(call.close)
            self.apps.run(__name__ + ":Sample", "add", tlv.encode(value), call)
            self.fails(call, "DirtyAppError", "a list and a dict")
        self.apps.run(__name__ + ":Sample", "add", b"\x99", call)
        self.fails(call, "DirtyAppError", "0x99")
        self.fails(self.call("add_async", 1), "DirtyAppError", "missing 1 required positional argument")

    def test_exceptions_that_are_odd(self):
        self.fails(self.call("leave"), "DirtyAppError", "SystemExit")
        self.fails(self.call("unprintable"), "DirtyAppError", "Unprintable")
        error = self.fails(self.call("odd"), "DirtyAppError", "\\ud800", "[...]")
        self.assertLess(len(error["message"]), 60000)


class Cancelled(RunningTest):
    def test_coroutine(self):
        with self.running("hang") as call:
            self.app.wait("hanging")
            call.cancel()
        self.app.wait("hang")
        self.assertEqual(call.sent, [])
        self.assertEqual(self.lines[-1], "Nobody waits for %s:Sample.hang any longer" % __name__)

    def test_before_it_begins(self):
        call = Call()
        call.cancel()
        self.start(call, "hang")
        self.assertEqual(call.sent, [])

    def test_generator(self):
        with self.running("parts", 1000, room=5) as call:
            call.wait(5)
            self.assertEqual(self.app.ended, [])
            call.cancel()
        self.assertEqual(self.app.ended, ["parts"])
        self.assertEqual(call.kinds(), [callconn.CHUNK] * 5)

    def test_asynchronous_generator_that_waits_for_the_caller(self):
        with self.running("parts_async", 1000, room=5) as call:
            call.wait(5)
            self.assertEqual(self.app.ended, [])
            call.cancel()
        self.assertEqual(self.app.ended, ["parts_async"])
        self.assertEqual(call.kinds(), [callconn.CHUNK] * 5)

    def test_the_next_call_of_the_slot(self):
        # It has the descriptor that the call before it was watched by.
        call = Call(room=5)
        for action, args in [("parts_async", [1000]), ("hang", []), ("hang_between", []), ("hang", [])]:
            self.app.ended.clear()
            call.sent.clear()
            thread = threading.Thread(target=self.start, args=(call, action, *args))
            thread.start()
            if action == "hang":
                self.app.wait("hanging")
            else:
                call.wait(1)
            call.cancel()
            thread.join(LIMIT)
            self.assertFalse(thread.is_alive(), action)
            self.app.wait(action)
            call.renew()

    def test_asynchronous_generator_that_waits_itself(self):
        with self.running("hang_between") as call:
            call.wait(1)
            call.cancel()
        self.app.wait("hang_between")
        self.assertEqual(call.kinds(), [callconn.CHUNK])

    def test_a_function_can_ask(self):
        self.assertFalse(cancelled())
        with self.running("asked") as call:
            self.app.wait("asking")
            self.app.go.set()
        self.assertEqual(call.values(), [False])
        self.app.go.clear()
        self.app.ended.clear()
        with self.running("asked") as call:
            self.app.wait("asking")
            call.cancel()
            self.app.go.set()
        self.assertEqual(call.values(), [True])


class Loading(unittest.TestCase):
    def test_specs(self):
        self.assertEqual(parse_dirty_app_spec("a.b:C"), ("a.b:C", None))
        self.assertEqual(parse_dirty_app_spec("a.b:C:2"), ("a.b:C", 2))
        for spec in ("a", "a:b:c:d", "a:B:x", "a:B:0"):
            with self.assertRaises(DirtyAppError, msg=spec) as raised:
                parse_dirty_app_spec(spec)
            self.assertEqual(raised.exception.app_path, spec)

    def test_what_is_no_app(self):
        module = types.ModuleType("no_app")
        module.function = print
        module.Plain = type("Plain", (), {})
        module.Broken = type("Broken", (DirtyApp,), {"__init__": lambda self: 1 / 0})
        with mock.patch.dict(sys.modules, {"no_app": module}):
            for path, kind, words in [
                ("no_app", DirtyAppError, "Invalid import path format"),
                ("no_app:Missing", DirtyAppNotFoundError, "Dirty app not found"),
                ("there_is_no_such:App", DirtyAppNotFoundError, "Dirty app not found"),
                ("no_app:function", DirtyAppError, "is not a class"),
                ("no_app:Plain", DirtyAppError, "missing required method: init"),
                ("no_app:Broken", DirtyAppError, "Failed to instantiate no_app:Broken: division by zero"),
            ]:
                with self.subTest(path), self.assertRaisesRegex(kind, words):
                    load_dirty_apps([path])

    def test_workers(self):
        self.assertEqual(get_app_workers_attribute(__name__ + ":Sample"), 3)
        self.assertIsNone(get_app_workers_attribute("indrik.pools:DirtyApp"))


if __name__ == "__main__":
    unittest.main()
