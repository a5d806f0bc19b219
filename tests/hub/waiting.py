"""Waiting for what happens elsewhere, for long enough on a machine that is busy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

DEADLINE_S = 30.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never happened"
        await asyncio.sleep(0.01)
