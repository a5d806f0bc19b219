"""
Counting references: what a thousand runs of an operation leave behind.

A debug build of CPython keeps the number of all references, `sys.gettotalrefcount`. An
operation that is sound leaves it as it was. What it does once, such as filling a cache,
is not a leak: so each operation is warmed up, and runs a thousand times in several
rounds, until in one of them not a single reference was left.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import inspect
import sys
import time
from array import array
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import repeat
from typing import Any, NamedTuple

import wsfast.asyncio  # noqa: F401 - compiled, so that Cython's types are there

TIMES = 1000
ROUNDS = 6
WARM_UP = 60
#: How long to wait for what an operation began, such as closing, to end.
SETTLE_S = 10.0
LOOK_S = 0.02

#: What a running operation needs, made once for all its rounds.
Within = Callable[[], AbstractAsyncContextManager[Any]]


class Operation(NamedTuple):
    """Something public to run a thousand times."""

    name: str
    run: Callable[..., Any]
    within: Within | None

    @property
    def is_async(self) -> bool:
        """Whether it runs in an event loop."""
        return inspect.iscoroutinefunction(self.run)


class Verdict(NamedTuple):
    """What was counted, round by round, and how long that took."""

    left: Sequence[int]
    seconds: float

    @property
    def leaks(self) -> int:
        """References that a thousand runs leave, 0 for none."""
        return min(self.left, key=abs)


class Operations:
    """
    Operations of one subject.

    Args:
        subject: Name of the subject; names of operations begin with it.

    """

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.all: list[Operation] = []

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Take a function that needs nothing as an operation."""
        self.add(function.__name__, function)
        return function

    def within(self, **places: Within) -> Callable[..., Callable[..., Any]]:
        """Take a function as one operation in each of several places."""

        def take(function: Callable[..., Any]) -> Callable[..., Any]:
            for place, within in places.items():
                self.add(f"{function.__name__}[{place}]", function, within)
            return function

        return take

    def add(
        self, name: str, run: Callable[..., Any], within: Within | None = None
    ) -> None:
        """Take a function as an operation of this name."""
        self.all.append(Operation(f"{self.subject}.{name}", run, within))


def _cython_types() -> tuple[type, ...]:
    """Return the types of Cython's own coroutines, generators and functions."""
    return tuple(
        value
        for name, module in list(sys.modules.items())
        if name.startswith("_cython_")
        for value in vars(module).values()
        if isinstance(value, type)
    )


#: The counts of these types grow by one with each coroutine that was ever made: Cython
#: (3.1 to 3.3) takes a reference to the type for each, and gives none back. That is a
#: number in an object that stays for ever anyway, and the one thing not counted here.
CYTHON_TYPES = _cython_types()


def total() -> int:
    """Return the number of all references."""
    gc.collect()
    count: int = sys.gettotalrefcount()  # type: ignore[attr-defined]
    for kind in CYTHON_TYPES:
        count -= sys.getrefcount(kind)
    return count


def measure(operation: Operation, settle_s: float = SETTLE_S) -> Verdict:
    """Run an operation until a round leaves nothing, `ROUNDS` times at most."""
    start = time.perf_counter()
    if operation.is_async:
        left = asyncio.run(_measure_async(operation, settle_s))
    else:
        left = _measure_sync(operation.run, settle_s)
    return Verdict(left, time.perf_counter() - start)


def _rounds(left: array[int]) -> Iterator[int]:
    """Begin one round after the other while they leave something."""
    for number in range(ROUNDS):
        left.append(0)
        yield number
        if left[-1] == 0:
            return


# Counts are kept in arrays: a number that is kept is itself a reference.


def _measure_sync(run: Callable[[], Any], settle_s: float) -> array[int]:
    left, before, deadline = array("q"), array("q", [0, 0]), array("d", [0])
    for _ in repeat(None, WARM_UP):
        run()
    for _ in _rounds(left):
        deadline[0] = time.monotonic() + settle_s
        before[0] = total()
        while time.monotonic() < deadline[0]:
            time.sleep(LOOK_S)
            before[1] = before[0]
            before[0] = total()
            if before[0] == before[1]:
                break
        for _ in repeat(None, TIMES):
            run()
        left[-1] = total() - before[0]
        deadline[0] = time.monotonic() + settle_s
        while left[-1] > 0 and time.monotonic() < deadline[0]:
            time.sleep(LOOK_S)
            left[-1] = total() - before[0]
    return left


async def _measure_async(operation: Operation, settle_s: float) -> array[int]:
    if operation.within is None:
        return await _measure_coroutine(operation.run, settle_s)
    async with operation.within() as place:
        return await _measure_coroutine(lambda: operation.run(place), settle_s)


async def _measure_coroutine(
    run: Callable[[], Awaitable[Any]], settle_s: float
) -> array[int]:
    left, before, deadline = array("q"), array("q", [0, 0]), array("d", [0])
    for _ in repeat(None, WARM_UP):
        await run()
    for _ in _rounds(left):
        deadline[0] = time.monotonic() + settle_s
        before[0] = await _settled_total()
        while time.monotonic() < deadline[0]:
            await asyncio.sleep(LOOK_S)
            before[1] = before[0]
            before[0] = await _settled_total()
            if before[0] == before[1]:
                break
        for _ in repeat(None, TIMES):
            await run()
        left[-1] = await _settled_total() - before[0]
        deadline[0] = time.monotonic() + settle_s
        while left[-1] > 0 and time.monotonic() < deadline[0]:
            await asyncio.sleep(LOOK_S)
            left[-1] = await _settled_total() - before[0]
    return left


async def _settled_total() -> int:
    """Return the number of references when the event loop has nothing to do."""
    for _ in range(5):
        await asyncio.sleep(0)
    _forget_cancelled(asyncio.get_running_loop())
    return total()


def _forget_cancelled(loop: Any) -> None:
    """Drop the cancelled timers, which asyncio itself keeps until there are many."""
    for timer in loop._scheduled:
        timer._scheduled = not timer._cancelled
    loop._scheduled = [timer for timer in loop._scheduled if timer._scheduled]
    loop._timer_cancelled_count = 0
    heapq.heapify(loop._scheduled)
