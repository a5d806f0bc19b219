"""Acknowledgements that are waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .exceptions import AckTimeout, Disconnected
from .handlers import as_reply

__all__ = ["Collected", "Waiting"]


class Waiting:
    """
    The acknowledgement of one event by one peer.

    Args:
        timeout: Seconds that it may take, or None.
        forget: Called when it has not come.

    Attributes:
        future: Done with the reply; failed with `AckTimeout` or `Disconnected`.

    """

    __slots__ = ("_timer", "future")

    def __init__(self, timeout: float | None, forget: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        if timeout is not None:
            self._timer = loop.call_later(timeout, self._late, timeout, forget)
        self.future.add_done_callback(lambda _: forget())

    def __call__(self, *values: Any) -> None:
        """Take the reply."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.future.done():
            self.future.set_result(as_reply(list(values)))

    def fail(self) -> None:
        """Give up: the peer has gone."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.future.done():
            self.future.set_exception(Disconnected("gone before it acknowledged"))

    def _late(self, timeout: float, forget: Callable[[], object]) -> None:
        forget()
        if not self.future.done():
            self.future.set_exception(
                AckTimeout(f"not acknowledged within {timeout:g} s")
            )


class Collected:
    """
    The acknowledgements of one event by many peers.

    Args:
        timeout: Seconds that they may take, or None.

    Attributes:
        future: Done with the list of replies, in the order of their coming; failed
            with `AckTimeout`, which has those that did come.

    """

    def __init__(self, timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Any]] = loop.create_future()
        self.replies: list[Any] = []
        self.expected = 0
        self._counting = 1  # nodes that have not said how many clients they have
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None
        if timeout is not None:
            self._timer = loop.call_later(timeout, self._late)

    def nodes(self, count: int) -> None:
        """Wait for the count of so many nodes."""
        self._counting = count
        self._look()

    def expect(self, count: int) -> None:
        """Take the number of clients of one node."""
        self.expected += count
        self._counting -= 1
        self._look()

    def __call__(self, *values: Any) -> None:
        """Take a reply."""
        self.replies.append(as_reply(list(values)))
        self._look()

    def fail(self) -> None:
        """Do without one of the clients: it has gone."""
        self.expected -= 1
        self._look()

    def _look(self) -> None:
        if self._counting <= 0 and len(self.replies) >= self.expected:
            if self._timer is not None:
                self._timer.cancel()
            if not self.future.done():
                self.future.set_result(self.replies)

    def _late(self) -> None:
        if not self.future.done():
            self.future.set_exception(
                AckTimeout(
                    f"{len(self.replies)} of {self.expected} have acknowledged within"
                    f" {self._timeout:g} s",
                    self.replies,
                )
            )
