"""Cancel something at its first wait, then at its second, until it has no more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

WAIT_S = 30  # for anything to end: nothing here is timed
MOST_WAITS = 200


class Steps:
    """
    Awaits something, and cancels the task that does when it waits for the n-th time.

    Args:
        awaitable: What to await.
        at: At which wait, the first being 1.
        late: Cancel when what it waits for has come, before the task knows of it; else
            while it waits.

    Attributes:
        waits: How often it has waited.

    """

    def __init__(self, awaitable: Awaitable[Any], at: int, late: bool) -> None:
        self.awaitable, self.at, self.late = awaitable, at, late
        self.waits = 0

    def __await__(self) -> Generator[Any, None, Any]:
        task = asyncio.current_task()
        assert task is not None
        inner = self.awaitable.__await__()
        step: Callable[[], Any] = lambda: next(inner)  # noqa: E731
        while True:
            try:
                waited = step()
            except StopIteration as exc:
                return exc.value
            self.waits += 1
            if self.waits == self.at:
                if self.late and waited is not None:
                    waited.add_done_callback(lambda _: task.cancel())
                else:
                    asyncio.get_running_loop().call_soon(task.cancel)
            try:
                yield waited
            except BaseException as exc:
                step = lambda exc=exc: inner.throw(exc)  # noqa: E731
            else:
                step = lambda: next(inner)  # noqa: E731


async def at_every_wait(
    start: Callable[[], Awaitable[Any]],
    after: Callable[[asyncio.Task[Any]], Awaitable[None]],
    beside: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """
    Cancel at each wait in turn, early and late, each time with a new start.

    Args:
        start: Returns what to await.
        after: Looks at what is left, with the task, which has ended.
        beside: Runs while it waits, from its first wait on.

    Returns:
        How many waits there were.

    """
    found = 0
    for late in (False, True):
        for at in range(1, MOST_WAITS):
            steps = Steps(start(), at, late)

            async def run(steps: Steps = steps) -> Any:
                return await steps

            task = asyncio.ensure_future(run())
            if beside is not None:
                await asyncio.sleep(0)
                await beside()
            done, _ = await asyncio.wait([task], timeout=WAIT_S)
            assert done, f"still waiting, cancelled at wait {at}"
            await after(task)
            if steps.waits < at:
                found = max(found, at - 1)
                break
        else:
            raise AssertionError("it never ends")
    return found
