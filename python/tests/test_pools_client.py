"""Calls of pools as callers make them: results, streams, what goes wrong, and calls that are
given up."""

import asyncio
import contextlib
import copy
import gc
import os
import pickle
import threading
import traceback
import unittest
from functools import partial
from unittest import mock

from indrik import callconn, pools
from indrik.pools import errors, tlv
from indrik.pools.client import connect

from .support.messages import LIMIT
from .support.pools import PoolsTest

CHUNK, END, RESULT = callconn.CHUNK, callconn.END, callconn.RESULT


class Calls(PoolsTest):
    def test_result(self):
        calls = []

        def front(peer):
            calls.append(peer.call())
            peer.send(RESULT, {"a": [1, b"2"]})

        self.front(front)
        client = pools.get_dirty_client(timeout=LIMIT)
        self.assertEqual(client.execute("ml:App", "predict", 1, "x", y=None), {"a": [1, b"2"]})
        self.assertEqual(calls, [("ml:App", "predict", [[1, "x"], {"y": None}], LIMIT)])
        self.assertEqual(self.released, 1)

    def test_functions_have_no_limit_of_the_caller(self):
        for call in (pools.execute, lambda *args: asyncio.run(pools.execute_async(*args))):
            timeouts = []

            def front(peer, timeouts=timeouts):
                timeouts.append(peer.call()[3])
                peer.send(RESULT, 3)

            self.front(front)
            self.assertEqual(call("ml:App", "predict"), 3)
            self.assertEqual(timeouts, [0])

    def test_asynchronous_results(self):
        def front(peer):
            n = peer.call()[2][0][0]
            arrived.wait(LIMIT)
            peer.send(RESULT, n)

        async def call(n):
            client = await pools.get_dirty_client_async(timeout=LIMIT)
            return await client.execute_async("ml:App", "predict", n)

        async def calls():
            return await asyncio.gather(*(call(n) for n in range(5)))

        arrived = threading.Barrier(5)
        for _ in range(5):
            self.front(front)
        self.assertEqual(asyncio.run(calls()), list(range(5)))
        self.assertEqual(self.released, 5)

    def test_arguments_that_cannot_be_sent(self):
        with self.assertRaisesRegex(errors.DirtyProtocolError, "Unsupported type for TLV encoding: object"):
            pools.execute("ml:App", "predict", object())
        self.assertTrue(self.none_opened())

    def test_what_is_too_large(self):
        for what, call in [
            ("the app", lambda: pools.execute("m" * 2000, "predict")),
            ("the action", lambda: pools.execute("ml:App", "p" * 2000)),
            ("too large", lambda: pools.execute("ml:App", "predict", bytes(70000))),
        ]:
            with self.subTest(what), mock.patch.object(callconn, "MAX_POOL_PAYLOAD", 70000):
                with self.assertRaisesRegex(errors.DirtyProtocolError, what):
                    call()
        with self.assertRaisesRegex(errors.StashError, "a key of the stash"):
            pools.stash.get("t", "k" * 20000)
        self.assertEqual(self.released, 0)

    def test_large_payloads(self):
        value = [bytes(100000), "x" * 5000000]

        def front(peer):
            self.assertTrue(peer.call()[2] == [[value], {}])
            peer.send(RESULT, value)

        self.front(front)
        self.assertTrue(pools.execute("ml:App", "predict", value) == value)
        self.front(front)
        self.assertTrue(asyncio.run(pools.execute_async("ml:App", "predict", value)) == value)

    @unittest.skipUnless(hasattr(os, "splice"), "Python 3.10 has os.splice")
    def test_a_payload_of_which_the_kernel_holds_a_page(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        seal = callconn._seal
        tries = []

        def busy(fd):
            os.splice(fd, write, 4096, offset_src=0)  # the pipe has the page itself
            with self.assertRaises(OSError):
                callconn.fcntl.fcntl(fd, callconn._F_ADD_SEALS, callconn._SEALS)
            tries.append(fd)
            threading.Timer(0.4, os.read, (read, 4096)).start()
            seal(fd)

        with mock.patch.object(callconn, "_seal", busy):
            fd = callconn.memory_file(b"x" * 4096)
        self.addCleanup(os.close, fd)
        self.assertEqual(tries, [fd])
        with self.assertRaises(PermissionError):
            os.pwrite(fd, b"y", 0)

    def test_as_context_managers(self):
        with pools.DirtyClient() as client:
            client.close()

        async def main():
            async with pools.DirtyClient() as client:
                await client.close_async()

        asyncio.run(main())
        self.assertEqual(self.released, 2)
        pools.close_dirty_client()
        asyncio.run(pools.close_dirty_client_async())

    def test_timeouts_that_are_none(self):
        for timeout in (0, -1, "/run/gunicorn.sock"):
            with self.subTest(timeout), self.assertRaisesRegex(TypeError, "number of seconds above 0"):
                pools.DirtyClient(timeout)


class WithoutPools(unittest.TestCase):
    def test_the_error_says_so(self):
        for call in (pools.get_dirty_client, lambda: pools.execute("a:B", "c"), connect):
            with self.assertRaisesRegex(errors.DirtyError, "dirty_apps"):
                call()
        with self.assertRaisesRegex(errors.StashError, "dirty_apps"):
            pools.stash.get("a", "b")

    def test_no_way_to_the_front(self):
        with mock.patch.object(callconn, "open", side_effect=OSError(24, "Too many open files")):
            with self.assertRaisesRegex(errors.DirtyConnectionError, "Too many open files"):
                pools.execute("a:B", "c")


class Failures(PoolsTest):
    def raises(self, kind, front, call=lambda: pools.execute("ml:App", "predict")):
        self.front(front)
        with self.assertRaises(kind) as raised:
            call()
        self.assertIs(type(raised.exception), kind)
        return raised.exception

    def test_an_error_of_the_pool(self):
        def front(peer):
            peer.call()
            peer.fail(
                "DirtyAppError", "no such key", app_path="ml:App", action="predict", traceback="Traceback: here\n"
            )

        for call in (
            lambda: pools.execute("ml:App", "predict"),
            lambda: asyncio.run(pools.execute_async("ml:App", "predict")),
            lambda: list(pools.stream("ml:App", "predict")),
        ):
            e = self.raises(errors.DirtyAppError, front, call)
            self.assertEqual([e.message, e.app_path, e.action], ["no such key", "ml:App", "predict"])
            self.assertEqual(str(e), "no such key: {'app_path': 'ml:App', 'action': 'predict'}")
            self.assertIn("Traceback: here\n", "".join(traceback.format_exception(type(e), e, e.__traceback__)))
        self.assertEqual(self.released, 3)

    def test_every_class(self):
        for kind in errors._CLASSES.values():
            with self.subTest(kind.__name__):

                def front(peer, kind=kind):
                    peer.call()
                    peer.fail(kind.__name__, timeout=3, worker_id=5, pool="gpu", limit=7)

                e = self.raises(kind, front)
                for again in (copy.copy(e), pickle.loads(pickle.dumps(e))):
                    self.assertIs(type(again), kind)
                    self.assertEqual(again.to_dict(), e.to_dict())
                for field in kind._fields:
                    self.assertEqual(getattr(e, field), e.details.get(field))
        self.assertEqual(
            self.raises(errors.DirtyTimeoutError, lambda p: p.fail("DirtyTimeoutError", timeout=3)).timeout, 3
        )

    def test_errors_of_a_hostile_pool(self):
        for value in (
            None,
            [],
            {},
            {"error_type": "SystemExit"},
            {"error_type": ["DirtyError"], "message": [1], "details": "x"},
            {"error_type": "DirtyError", "message": None, "details": [], "traceback": 1},
        ):
            with self.subTest(value):
                e = self.raises(errors.DirtyError, lambda peer, value=value: peer.send(callconn.ERROR, value))
                self.assertIsInstance(str(e), str)

    def test_answers_of_a_hostile_pool(self):
        e = self.raises(errors.DirtyProtocolError, lambda peer: peer.sock.send(bytes([RESULT]) + bytes(8) + b"\1\x99"))
        self.assertIn("0x99", e.message)
        e = self.raises(errors.DirtyProtocolError, lambda peer: peer.send(77))
        self.assertIn("77", e.message)
        self.assertEqual(self.released, 0)

    def test_the_front_is_gone(self):
        def front(peer):
            peer.call()
            peer.sock.close()

        e = self.raises(errors.DirtyConnectionError, front)
        self.assertIn("ml:App.predict", e.message)
        self.raises(errors.DirtyConnectionError, front, lambda: asyncio.run(pools.execute_async("ml:App", "predict")))
        self.assertEqual(self.released, 0)

    def test_a_call_that_cannot_be_sent(self):
        with mock.patch.object(callconn.Connection, "call", side_effect=BrokenPipeError):
            self.raises(errors.DirtyConnectionError, lambda peer: self.assertTrue(peer.closed()))

    def test_a_stream_that_was_called_for_a_result(self):
        def front(peer):
            peer.call()
            peer.send(CHUNK, 1)
            self.assertTrue(peer.closed())

        e = self.raises(errors.DirtyError, front)
        self.assertIn("stream()", e.message)
        e = self.raises(errors.DirtyError, lambda peer: peer.send(END))
        self.assertIn("stream()", e.message)


class GivenUp(PoolsTest):
    """A call that is given up closes its connection."""

    def setUp(self):
        super().setUp()
        self.called = threading.Event()
        self.end = self.front(self.closes)

    def closes(self, peer):
        peer.call()
        self.called.set()
        self.assertTrue(peer.closed())

    def test_time_is_over(self):
        with self.assertRaisesRegex(errors.DirtyTimeoutError, "ml:App.predict is not done after 0.02 s") as raised:
            pools.DirtyClient(0.02).execute("ml:App", "predict")
        self.assertEqual(raised.exception.timeout, 0.02)
        self.end()

    def test_time_is_over_in_a_task(self):
        with self.assertRaisesRegex(errors.DirtyTimeoutError, "after 0.02 s"):
            asyncio.run(pools.DirtyClient(0.02).execute_async("ml:App", "predict"))
        self.end()

    def test_time_between_parts_is_over(self):
        stream = pools.DirtyClient(LIMIT, idle_timeout=0.02).stream("ml:App", "predict")
        with self.assertRaisesRegex(errors.DirtyTimeoutError, "idle 0.02 s"):
            next(stream)
        self.end()
        self.assertEqual(list(stream), [])

    def test_a_task_is_cancelled(self):
        async def main():
            task = asyncio.ensure_future(pools.execute_async("ml:App", "predict"))
            await asyncio.get_running_loop().run_in_executor(None, self.called.wait, LIMIT)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        self.end()

    def test_a_thread_is_interrupted(self):
        with mock.patch.object(callconn.Connection, "receive", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                pools.execute("ml:App", "predict")
        self.end()

    def tearDown(self):
        self.assertEqual(self.released, 0)


class Streams(PoolsTest):
    def parts(self, *values):
        def front(peer):
            peer.call()
            for value in values:
                peer.send(CHUNK, value)
            peer.send(END)

        self.front(front)

    async def collect(self, *args):
        return [part async for part in pools.stream_async(*args)]

    def test_parts(self):
        for values in ([], [1], [None, b"x", {"a": []}], list(range(1000))):
            with self.subTest(len(values)):
                self.parts(*values)
                self.assertEqual(list(pools.stream("ml:App", "generate")), values)
                self.parts(*values)
                self.assertEqual(asyncio.run(self.collect("ml:App", "generate")), values)
        self.assertEqual(self.released, 8)

    def test_it_begins_with_the_first_part(self):
        stream = pools.stream("ml:App", "generate")
        self.assertTrue(self.none_opened())
        stream.close()
        self.assertEqual(list(stream), [])
        self.assertTrue(self.none_opened())

    def test_a_result_is_the_only_part(self):
        for collect in (lambda *args: list(pools.stream(*args)), lambda *args: asyncio.run(self.collect(*args))):
            self.front(lambda peer: (peer.call(), peer.send(RESULT, "whole")))
            self.assertEqual(collect("ml:App", "predict"), ["whole"])

    def test_an_error_in_the_middle(self):
        def front(peer):
            peer.call()
            peer.send(CHUNK, 1)
            peer.fail("DirtyAppError", "in the middle")

        self.front(front)
        stream = pools.stream("ml:App", "generate")
        self.assertEqual(next(stream), 1)
        with self.assertRaisesRegex(errors.DirtyAppError, "in the middle"):
            next(stream)
        self.assertEqual(list(stream), [])

    def endless(self, peer):
        peer.call()
        try:
            while True:
                peer.send(CHUNK, "part")
        except (BrokenPipeError, ConnectionResetError):
            pass

    def test_a_stream_that_is_closed_ends_in_the_pool(self):
        end = self.front(self.endless)
        with pools.stream("ml:App", "generate") as stream:
            self.assertEqual([next(stream) for _ in range(300)], ["part"] * 300)
        end()
        self.assertEqual(list(stream), [])

        end = self.front(self.endless)
        stream = pools.stream("ml:App", "generate")
        next(stream)
        del stream  # that nobody has any longer
        gc.collect()
        end()
        self.assertEqual(self.released, 0)

    def test_an_asynchronous_stream_that_is_closed_ends_in_the_pool(self):
        async def leave():
            async with pools.stream_async("ml:App", "generate") as stream:
                async for part in stream:
                    self.assertEqual(part, "part")
                    break
            await stream.aclose()

        async def cancelled():
            task = asyncio.ensure_future(self.collect("ml:App", "generate"))
            await asyncio.sleep(0.01)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        for main in (leave, cancelled):
            end = self.front(self.endless)
            asyncio.run(main())
            end()
        self.assertEqual(self.released, 0)

    def test_the_limit_of_the_whole(self):
        def front(peer):
            self.assertEqual(peer.call()[3], 0.05)
            with contextlib.suppress(BrokenPipeError):
                peer.send(CHUNK, 1)
            self.assertTrue(peer.closed())

        for collect in (
            lambda client: list(client.stream("ml:App", "generate")),
            lambda client: asyncio.run(self.drain(client.stream_async("ml:App", "generate"))),
        ):
            end = self.front(front)
            with self.assertRaisesRegex(errors.DirtyTimeoutError, "not done after 0.05 s"):
                collect(pools.DirtyClient(0.05))
            end()

    async def drain(self, stream):
        async for _ in stream:
            pass


class Stash(PoolsTest):
    def ask(self, call, answer):
        """Returns what the operation of a call was, and what it returned."""
        asked = []

        def front(peer):
            asked.extend(peer.stash())
            answer(peer)

        end = self.front(front)
        try:
            return asked, call()
        finally:
            end()

    def test_operations(self):
        key = tlv.encode("k")
        for name, args, asked, answer, want in [
            ("put", ("t", "k", [1]), [1, "t", key, tlv.encode([1])], True, None),
            ("get", ("t", "k"), [2, "t", key, b""], {"a": 1}, {"a": 1}),
            ("get", ("t", 1), [2, "t", tlv.encode(1), b""], None, None),
            ("delete", ("t", "k"), [3, "t", key, b""], False, False),
            ("keys", ("t",), [4, "t", b"", b""], ["a:1", 2], ["a:1", 2]),
            ("keys", ("t", "a:*"), [4, "t", b"", b""], ["a:1", "b:1", 2], ["a:1"]),
            ("clear", ("t",), [5, "t", b"", b""], True, None),
            ("info", ("t",), [6, "t", b"", b""], {"size": 3}, {"size": 3}),
            ("ensure", ("t",), [7, "t", b"", b""], True, None),
            ("delete_table", ("t",), [8, "t", b"", b""], True, True),
            ("tables", (), [9, "", b"", b""], ["t"], ["t"]),
            ("exists", ("t",), [10, "t", b"", b""], True, True),
            ("exists", ("t", "k"), [10, "t", key, b""], False, False),
        ]:
            for call in (self.now, self.in_a_task):
                got, value = self.ask(partial(call, name, args), lambda peer, answer=answer: peer.send(RESULT, answer))
                self.assertEqual((name, got), (name, asked))
                self.assertEqual((name, value), (name, want))
        self.assertEqual(self.released, 26)

    def now(self, name, args):
        return getattr(pools.stash, name)(*args)

    def in_a_task(self, name, args):
        return asyncio.run(getattr(pools.stash, name + "_async")(*args))

    def test_cancelled(self):
        """An operation that is given up closes its connection: what comes then is nobody's answer."""

        async def main():
            task = asyncio.ensure_future(pools.stash.get_async("t", "k"))
            await asyncio.sleep(0)
            task.cancel()
            await task

        def front(peer):
            peer.stash()
            self.assertTrue(peer.closed())

        end = self.front(front)
        with self.assertRaises(asyncio.CancelledError):
            asyncio.run(main())
        end()
        self.assertEqual(self.released, 0)

    def test_errors_in_a_task(self):
        for answer, kind in [
            (lambda peer: peer.fail("StashFullError", "the stash is full"), errors.StashFullError),
            (lambda peer: peer.fail("StashTableNotFoundError"), errors.StashTableNotFoundError),
            (lambda peer: peer.sock.close(), errors.StashError),
        ]:
            with self.assertRaises(kind):
                self.ask(partial(self.in_a_task, "put", ("t", "k", 1)), answer)
        missing = self.ask(
            partial(self.in_a_task, "get", ("t", "k", 5)), lambda peer: peer.fail("StashKeyNotFoundError")
        )
        self.assertEqual(missing[1], 5)

    def test_what_is_not_there(self):
        stash = pools.stash

        def no_key(peer):
            peer.fail("StashKeyNotFoundError", "whatever")

        def no_table(peer):
            peer.fail("StashTableNotFoundError", "whatever")

        def full(peer):
            peer.fail("StashFullError", "the stash is full", limit=3)

        table = stash.table("t")
        self.assertEqual(table.name, "t")
        self.assertEqual(self.ask(lambda: stash.get("t", "k", 5), no_key)[1], 5)
        self.assertEqual(self.ask(lambda: "k" in table, no_key)[1], False)
        self.assertEqual(self.ask(lambda: len(table), no_table)[1], 0)
        for call, answer, kind in [
            (lambda: stash.info("t"), no_table, errors.StashTableNotFoundError),
            (lambda: table["k"], no_key, KeyError),
            (lambda: table.__delitem__("k"), lambda peer: peer.send(RESULT, False), KeyError),
            (lambda: stash.put("t", "k", 1), full, errors.StashFullError),
            (lambda: stash.put("t", "k", 1), lambda peer: peer.fail("DirtyError"), errors.StashError),
            (lambda: stash.put("t", "k", 1), lambda peer: peer.sock.close(), errors.StashError),
        ]:
            with self.assertRaises(kind):
                self.ask(call, answer)

    def test_a_table_is_like_a_dict(self):
        content = {"a": 1, "b": None}

        def answer(peer, op, key, value):
            if op == 1:
                content[key] = tlv.decode(value)
            elif op == 2:
                if key not in content:
                    return peer.fail("StashKeyNotFoundError")
                return peer.send(RESULT, content[key])
            elif op == 3:
                return peer.send(RESULT, content.pop(key, self) is not self)
            elif op == 4:
                return peer.send(RESULT, list(content))
            elif op == 5:
                content.clear()
            elif op == 6:
                return peer.send(RESULT, {"size": len(content)})
            return peer.send(RESULT, True)

        def serve(peer):
            """Answers until the table is cleared."""
            while True:
                op, _, key, value = peer.stash()
                answer(peer, op, tlv.decode(key) if key else None, value)
                if op == 5:
                    return
                peer = self.peer()

        end = self.front(serve)
        table = pools.stash.table("t")
        self.assertEqual(dict(table.items()), {"a": 1, "b": None})
        self.assertEqual(list(table.values()), [1, None])
        self.assertEqual([len(table), list(table), table["b"], table.get("c", 7)], [2, ["a", "b"], None, 7])
        table["c"] = [3]
        del table["a"]
        self.assertEqual(content, {"b": None, "c": [3]})
        self.assertTrue("b" in table and "a" not in table)
        self.assertEqual(table.keys("c*"), ["c"])
        table.clear()
        end()
        self.assertEqual(content, {})


if __name__ == "__main__":
    unittest.main()
