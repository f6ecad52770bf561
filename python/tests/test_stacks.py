"""The stacks of tasks, and of threads that they wait for."""

import asyncio
import contextvars
import functools
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from indrik import stacks

from .support import LIMIT


class Conversation:
    def __init__(self, task):
        self.task = task


def section(text, head):
    """Returns the calls below the stack with that head."""
    lines = text.split("\n")
    at = lines.index(head + " (most recent call first):") + 1
    calls = []
    while lines[at].startswith("  File "):
        calls.append(lines[at].rsplit(" ", 1)[1])
        at += 1
    return calls


class Stacks(unittest.TestCase):
    def look(self, *functions, begun=lambda: True):
        """Runs coroutine functions as requests 1, 2 and so on, and returns their stacks once begun
        is true of what they wait for."""

        async def run(number, function):
            stacks.REQUEST.set(number)
            await function()

        async def main():
            requests = {n + 1: Conversation(asyncio.ensure_future(run(n + 1, f))) for n, f in enumerate(functions)}
            for _ in range(20):
                await asyncio.sleep(0.001)
            end = time.monotonic() + LIMIT
            while not begun():
                self.assertLess(time.monotonic(), end)
                await asyncio.sleep(0.001)
            text = stacks.of_tasks(7, requests, asyncio.all_tasks())
            for conversation in requests.values():
                conversation.task.cancel()
            return text

        return asyncio.run(main())

    def test_await(self):
        class Awaitable:
            def __await__(self):
                yield from asyncio.sleep(900).__await__()

        async def generator():
            await Awaitable()
            yield 1

        async def direct():
            async for _ in generator():
                pass

        text = self.look(direct)
        self.assertEqual(text.split("\n")[0], "Stacks 7")
        self.assertTrue(text.endswith("\nEnd of stacks 7\n"))
        calls = section(text, "Request 1")
        self.assertEqual(calls[-2:], ["direct", "run"])
        self.assertEqual(calls[0], "sleep")
        self.assertIn("__await__", calls)
        self.assertIn("generator", calls)

    def test_tasks(self):
        async def waits():
            await asyncio.sleep(900)

        async def inner():
            await asyncio.ensure_future(waits())

        async def beside():
            await asyncio.wait([asyncio.ensure_future(waits())])

        text = self.look(inner, beside)
        self.assertEqual(section(text, "Request 1"), ["sleep", "waits", "inner", "run"])
        found = [line for line in text.split("\n") if line.startswith("Task ") and " of request 2 " in line]
        self.assertEqual(len(found), 1)
        self.assertEqual(section(text, found[0].replace(" (most recent call first):", "")), ["sleep", "waits"])
        self.assertNotIn("of request 1 ", text)  # it is a part of that stack

    def test_thread(self):
        begun, over = threading.Event(), threading.Event()

        def blocks():
            begun.set()
            over.wait(LIMIT)

        async def outside():
            with ThreadPoolExecutor(1) as pool:
                call = functools.partial(contextvars.copy_context().run, blocks)
                future = asyncio.get_event_loop().run_in_executor(pool, call)
                try:
                    await future
                finally:
                    over.set()

        text = self.look(outside, begun=begun.is_set)
        found = [line for line in text.split("\n") if line.startswith("Thread 0x") and " of request 1 " in line]
        self.assertEqual(len(found), 1, text)
        self.assertIn("blocks", section(text, found[0].replace(" (most recent call first):", "")))

    def test_time_of_others_does_not_count(self):
        class Kept(Conversation):
            @property
            def task(self):
                time.sleep(0.05)  # as on a machine that is busy with other processes
                return None

            @task.setter
            def task(self, task):
                pass

        async def main():
            own = asyncio.ensure_future(asyncio.sleep(900))
            await asyncio.sleep(0)
            text = stacks.of_tasks(7, {1: Kept(None), 2: Conversation(own)}, asyncio.all_tasks())
            own.cancel()
            return text

        text = asyncio.run(main())
        self.assertEqual(section(text, "Request 2")[0], "sleep")
        self.assertNotIn("not shown", text)

    def test_bounds(self):
        async def deep(n):
            if n:
                await deep(n - 1)
            else:
                await asyncio.sleep(900)

        text = self.look(*[lambda: deep(200)] * 3000)
        self.assertLess(len(text), 300 << 10)
        self.assertRegex(text, r"\n[0-9]+ more are not shown\nEnd of stacks 7\n$")
        self.assertEqual(len(section(text, "Request 1")), 60)
