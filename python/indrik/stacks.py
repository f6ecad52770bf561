"""The stacks of the tasks of an event loop, and those of greenlets, for whoever asks what a
worker is doing. What faulthandler writes shows the loop alone.

The loop writes them itself, between two tasks, so that none of them runs meanwhile. No code of
the app's is called. While the loop is stuck nothing is written: then the master has faulthandler
write the stacks of the threads, which show where it is stuck.
"""

from __future__ import annotations

import functools
import gc
import sys
import time
from contextvars import Context, ContextVar
from types import BuiltinMethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Task
    from types import FrameType
    from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Set

    from .conversation import Conversation
    from .gevent_worker import GreenResponse

# The number of the request that a task, or a thread that a task waits for, belongs to. The
# tasks that a request begins inherit it. It is set once stacks may be asked for.
REQUEST: ContextVar[int] = ContextVar("indrik.request")

# How long the loop may be kept from its tasks, in seconds of processor time, and how much may be
# written. A loop that other processes keep waiting would show nothing by the time on the wall.
_PATIENCE = 0.025
_SIZE = 200 << 10
_clock: Callable[[], float] = getattr(time, "thread_time", time.monotonic)

# How many calls of one stack are written: the innermost.
_CALLS = 60

# Awaitables of C that have a coroutine or a generator in them, and do not say which.
_WRAPPERS = ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "anext_awaitable")

# Modules that run functions of tasks in threads, and the names of variables there that
# have the context of the task.
_CARRIERS = ("concurrent.futures.thread", "anyio._backends._asyncio", "asgiref.sync")


class _Stacks:
    """The text, as far as it was made."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lines = ["Stacks %d" % number]
        self.size = 0
        self.until = _clock() + _PATIENCE

    def add(self, head: str, calls: Iterable[str]) -> None:
        """Adds a stack, the innermost call first."""
        lines = ["%s (most recent call first):" % head, *calls]
        self.size += sum(map(len, lines))
        self.lines += lines

    def is_full(self) -> bool:
        return self.size > _SIZE or _clock() > self.until

    def text(self, left: int) -> str:
        if left:
            self.lines.append("%d more are not shown" % left)
        return "\n".join([*self.lines, "End of stacks %d\n" % self.number])


def of_tasks(number: int, requests: Mapping[int, Conversation], tasks: Set[Task[Any]]) -> str:
    """Returns the stacks of the requests that run, the oldest first, then of the other tasks of
    the loop, and of the other threads."""
    stacks = _Stacks(number)
    seen: Set[Any] = set()
    left = len(tasks)
    for request_id, conversation in list(requests.items()):
        if stacks.is_full():
            return stacks.text(left)
        if conversation.task is not None:
            stacks.add("Request %d" % request_id, _of_task(conversation.task, seen))
            left -= 1
    for task in tasks:
        if task in seen:
            continue
        if stacks.is_full():
            return stacks.text(left)
        name = task.get_name() if hasattr(task, "get_name") else "without a name"
        stacks.add("Task %s%s" % (name, _of_request(_context_of(task))), _of_task(task, seen))
        left -= 1
    _add_threads(stacks)
    return stacks.text(0)


def of_greenlets(number: int, requests: Mapping[int, GreenResponse]) -> str:
    """Returns the stacks of the requests that run, the oldest first, and of the other threads."""
    stacks = _Stacks(number)
    left = len(requests)
    for request_id, response in list(requests.items()):
        if stacks.is_full():
            return stacks.text(left)
        stacks.add("Request %d" % request_id, _of_frame(response.greenlet.gr_frame))
        left -= 1
    _add_threads(stacks)
    return stacks.text(0)


def _call(frame: FrameType) -> str:
    code = frame.f_code
    return '  File "%s", line %s in %s' % (code.co_filename, frame.f_lineno, code.co_name)


def _of_frame(frame: Optional[FrameType]) -> Iterator[str]:
    for _ in range(_CALLS):
        if frame is None:
            return
        yield _call(frame)
        frame = frame.f_back


def _of_task(task: Any, seen: Set[Any]) -> List[str]:
    """Returns the calls of a task, and within them those of the tasks that it waits for."""
    calls: List[str] = []
    while task is not None and task not in seen and len(calls) < _CALLS:
        seen.add(task)
        get = getattr(task, "get_coro", None)
        if get is not None:
            calls += _of_awaitable(get())
        waits = getattr(task, "_fut_waiter", None)
        task = waits if hasattr(waits, "get_coro") else None
    calls.reverse()
    return calls[:_CALLS]


def _of_awaitable(awaited: Any) -> Iterator[str]:
    """Yields the calls of a coroutine that waits, the outermost first."""
    for _ in range(_CALLS * 2):
        for prefix in ("cr", "gi", "ag"):
            frame = getattr(awaited, prefix + "_frame", None)
            if frame is not None:
                yield _call(frame)
                inner = "gi_yieldfrom" if prefix == "gi" else prefix + "_await"
                awaited = getattr(awaited, inner, None)
                break
        else:
            if type(awaited).__name__ not in _WRAPPERS:
                return
            awaited = next(
                (x for x in gc.get_referents(awaited) if hasattr(x, "cr_frame") or hasattr(x, "ag_frame")), None
            )


def _context_of(task: Any) -> Optional[Context]:
    for name in ("get_context", "_context"):  # from 3.12 on; of a class in Python
        found = getattr(task, name, None)
        if found is not None:
            context: Context = found() if name == "get_context" else found
            return context
    return next((x for x in gc.get_referents(task) if type(x) is Context), None)


def _of_request(context: Optional[Context]) -> str:
    number = context.get(REQUEST) if context is not None else None
    return " of request %d" % number if type(number) is int else ""


def _add_threads(stacks: _Stacks) -> None:
    """Adds the threads besides this one."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return  # they run while their frames are looked at
    own = sys._getframe()
    frames: Dict[int, FrameType] = sys._current_frames()
    for ident, frame in frames.items():
        if frame is own or stacks.is_full():
            continue
        request = ""
        outer: Optional[FrameType] = frame
        for _ in range(_CALLS * 2):
            if outer is None or request:
                break
            if outer.f_globals.get("__name__") in _CARRIERS:
                request = _of_request(_carried(outer.f_locals.values()))
            outer = outer.f_back
        stacks.add("Thread 0x%016x%s" % (ident, request), _of_frame(frame))


def _carried(values: Iterable[Any]) -> Optional[Context]:
    """Returns the context with which a function is run in a thread, by the variables of its
    caller. Only attributes of known types are looked at."""
    todo = list(values)
    for value in todo:
        kind = type(value)
        if kind is Context:
            return value  # type: ignore[no-any-return]
        if kind is BuiltinMethodType and type(value.__self__) is Context:
            return value.__self__
        if len(todo) > 100:
            return None
        if kind is functools.partial:
            todo += [value.func, *value.args]
        elif kind.__module__ == "concurrent.futures.thread" and kind.__name__ == "_WorkItem":
            task = getattr(value, "task", None)  # from 3.14 on
            todo += task[:1] if type(task) is tuple else [getattr(value, "fn", None)]
    return None
