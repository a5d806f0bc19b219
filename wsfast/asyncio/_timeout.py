"""``asyncio.timeout`` for Python 3.10, which has none."""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import Any

__all__ = ["timeout"]


class _Timeout:
    """
    Cancels what the task does in this context after a while, as a TimeoutError.

    Args:
        delay: Seconds, or None for ever.

    """

    def __init__(self, delay: float | None) -> None:
        self._delay = delay
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if self._delay is not None and task is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._delay, self._expire, task)

    def _expire(self, task: asyncio.Task[Any]) -> None:
        self._expired = True
        task.cancel()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._expired and exc_type is asyncio.CancelledError:
            raise asyncio.TimeoutError from exc_value


if sys.version_info >= (3, 11):
    timeout = asyncio.timeout
else:
    timeout = _Timeout
