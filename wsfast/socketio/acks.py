"""Acknowledgements that are waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from .exceptions import AckTimeout, Disconnected, NodeGone
from .handlers import as_reply, logger

__all__ = ["Answered", "Collected", "Waiting", "fail_all", "give_up"]


def fail_all(acks: Iterable[Any]) -> None:
    """Tell those that want to know that no reply will come: the peer has gone."""
    for ack in acks:
        fail = getattr(ack, "fail", None)
        if fail is not None:
            fail()


def give_up(acks: dict[int, Any], most: float) -> None:
    """Wait no longer for the oldest replies that are more than ``most``."""
    while len(acks) > most:
        ack = acks.pop(next(iter(acks)))
        logger.warning("more than %d acknowledgements were waited for", most)
        if isinstance(ack, Waiting):
            ack.late(f"more than {most:g} acknowledgements were waited for")
        else:
            fail_all((ack,))


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
            text = f"not acknowledged within {timeout:g} s"
            self._timer = loop.call_later(timeout, self.late, text)
        self.future.add_done_callback(lambda _: self._over(forget))

    def _over(self, forget: Callable[[], object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        forget()

    def __call__(self, *values: Any) -> None:
        """Take the reply."""
        if not self.future.done():
            self.future.set_result(as_reply(list(values)))

    def fail(self) -> None:
        """Give up: the peer has gone."""
        if not self.future.done():
            self.future.set_exception(Disconnected("gone before it acknowledged"))

    def late(self, text: str) -> None:
        """Give up: it is too late."""
        if not self.future.done():
            self.future.set_exception(AckTimeout(text))


class Answered(Waiting):
    """
    The same, for ``callback(error, *values)``: the error is None, or an exception.

    Args:
        timeout: Seconds that it may take.
        forget: Called when it has not come.
        callback: The callback.
        call: Calls it; it may be a coroutine function.

    """

    __slots__ = ()

    def __init__(
        self,
        timeout: float,
        forget: Callable[[], object],
        callback: Callable[..., Any],
        call: Callable[..., object],
    ) -> None:
        super().__init__(timeout, forget)
        self.future.add_done_callback(lambda done: _answer(done, callback, call))

    def __call__(self, *values: Any) -> None:
        """Take the reply."""
        if not self.future.done():
            self.future.set_result(values)


def _answer(
    done: asyncio.Future[Any],
    callback: Callable[..., Any],
    call: Callable[..., object],
) -> None:
    if done.cancelled():
        return
    exc = done.exception()
    if exc is None:
        call(callback, None, *done.result())
    else:
        call(callback, exc)


class Collected:
    """
    The acknowledgements of one event by many peers.

    Args:
        timeout: Seconds that they may take, or None.
        nodes: Those that may have clients for it; this one is ``""``.

    Attributes:
        expected: How many peers there are, as far as nodes have said.
        silent: Nodes that have not said how many they have.
        future: Done with the list of replies, in the order of their coming; failed
            with `AckTimeout` or `NodeGone`, which have those that did come.

    """

    def __init__(self, timeout: float | None, nodes: Iterable[str] = ("",)) -> None:
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Any]] = loop.create_future()
        self.replies: list[Any] = []
        self.expected = 0
        #: How many replies each node owes; those in `silent` have not said so yet.
        self._owed = dict.fromkeys(nodes, 0)
        self.silent = set(self._owed)
        self._gone: list[str] = []
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None
        if timeout is not None:
            self._timer = loop.call_later(timeout, self._late)

    def expect(self, count: int, node: str = "") -> None:
        """Take the number of clients of one node; some may have replied before."""
        if node in self.silent:
            self.silent.discard(node)
            self.expected += count
            self._owed[node] += count
            self._look(node)

    def __call__(self, *values: Any) -> None:
        """Take a reply of a client of this node."""
        self.reply("", values)

    def reply(self, node: str, values: Iterable[Any]) -> None:
        """Take a reply of a client of any node."""
        if self._count(node):
            self.replies.append(as_reply(list(values)))
            self._look(node)

    def fail(self, node: str = "") -> None:
        """Do without one of the clients: it has gone."""
        if self._count(node):
            self.expected -= 1
            self._look(node)

    def gone(self, node: str) -> None:
        """Do without a node: it will not say any more."""
        if node in self._owed:
            del self._owed[node]
            self.silent.discard(node)
            self._gone.append(node)
            self._look(node)

    def _count(self, node: str) -> bool:
        """Return whether a node owes this reply."""
        owed = self._owed.get(node)
        if owed is None or (owed <= 0 and node not in self.silent):
            return False
        self._owed[node] = owed - 1
        return True

    def _look(self, node: str) -> None:
        if node not in self.silent and self._owed.get(node, 1) <= 0:
            del self._owed[node]
        if self._owed:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self.future.done():
            return
        if self._gone:
            self.future.set_exception(NodeGone(sorted(self._gone), self.replies))
        else:
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
