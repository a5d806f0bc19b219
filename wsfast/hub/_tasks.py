"""Coroutines that live and die together, or in time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

__all__ = ["end", "first_failure", "within"]


async def first_failure(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """
    Run coroutines until the first of them ends, then cancel the others.

    Raises:
        Exception: What that one raised.

    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks)
    for task in done:
        task.result()


async def within(seconds: float, coroutine: Coroutine[Any, Any, Any]) -> None:
    """
    Run a coroutine that may hold on to its cancellation, for so long at most.

    Raises:
        ConnectionError: It took longer.
        Exception: What it raised.

    """
    task = asyncio.ensure_future(coroutine)
    try:
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            raise ConnectionError(f"no answer within {seconds:.3g} s")
    finally:
        await end([task])
    task.result()


async def end(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Cancel tasks until all have ended, whatever comes in between."""
    cancelled: asyncio.CancelledError | None = None
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()  # wait_for() may swallow one
        try:
            await asyncio.wait(left, timeout=0.5)
        except asyncio.CancelledError as exc:
            cancelled = exc
    for task in tasks:
        if not task.cancelled():
            task.exception()  # nobody else has to ask for it
    if cancelled is not None:
        raise cancelled
