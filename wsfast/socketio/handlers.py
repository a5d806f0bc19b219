"""Handlers by event, listeners of all events, and how they are called."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any, TypeVar

from .packet import RESERVED_EVENTS

__all__ = [
    "Anything",
    "Handlers",
    "Tasks",
    "accepted",
    "as_arguments",
    "as_reply",
    "coroutine_of",
]

Function = TypeVar("Function", bound=Callable[..., Any])

logger = logging.getLogger("wsfast.socketio")


def as_arguments(args: tuple[Any, ...]) -> list[Any]:
    """Return what is sent of ``emit(event, *args)``: a lone tuple is several."""
    if len(args) == 1 and type(args[0]) is tuple:
        return list(args[0])
    return list(args)


def as_reply(values: list[Any]) -> Any:
    """Return what ``call()`` returns of a reply: None, the value, a tuple."""
    if len(values) == 1:
        return values[0]
    return tuple(values) if values else None


def accepted(function: Callable[..., Any], most: int) -> int:
    """Return how many arguments a handler takes, at most so many."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return most
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return most
    positional = [
        p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return min(most, len(positional))


class Handlers:
    """
    The handlers of one namespace.

    Attributes:
        by_event: Event -> handler; ``"*"`` for all that have none.

    """

    def __init__(self) -> None:
        self.by_event: dict[str, Callable[..., Any]] = {}

    def find(
        self, event: str, first: tuple[Any, ...]
    ) -> tuple[Callable[..., Any] | None, tuple[Any, ...]]:
        """
        Return the handler of an event.

        Args:
            event: Its name.
            first: The arguments before those of the event.

        Returns:
            The handler or None, and those arguments; ``"*"`` is told the event first.

        """
        handler = self.by_event.get(event)
        if handler is None and event not in RESERVED_EVENTS:
            handler = self.by_event.get("*")
            if handler is not None:
                first = (event, *first)
        return handler, first


class Anything:
    """
    Listeners of all events that come, and of all that go (a mixin).

    They are called before the event's handler, and before it is sent, with the event
    and its arguments. A recipient of a broadcast counts as well.
    """

    __slots__ = ("_any", "_any_outgoing")

    def __init__(self) -> None:
        self._any: list[Callable[..., Any]] | None = None
        self._any_outgoing: list[Callable[..., Any]] | None = None

    def on_any(self, listener: Function) -> Function:
        """Call ``listener(event, *args)`` for each event that comes."""
        self._any = [*(self._any or ()), listener]
        return listener

    def prepend_any(self, listener: Function) -> Function:
        """Do the same, before the others."""
        self._any = [listener, *(self._any or ())]
        return listener

    def off_any(self, listener: Callable[..., Any] | None = None) -> None:
        """Forget a listener, or all of them."""
        self._any = _without(self._any, listener)

    def listeners_any(self) -> list[Callable[..., Any]]:
        """Return the listeners, in the order of their calls."""
        return list(self._any or ())

    def _outgoing_changed(self) -> None:
        """Take note that there are other listeners of what goes."""

    def on_any_outgoing(self, listener: Function) -> Function:
        """Call ``listener(event, *args)`` for each event that goes."""
        self._any_outgoing = [*(self._any_outgoing or ()), listener]
        self._outgoing_changed()
        return listener

    def prepend_any_outgoing(self, listener: Function) -> Function:
        """Do the same, before the others."""
        self._any_outgoing = [listener, *(self._any_outgoing or ())]
        self._outgoing_changed()
        return listener

    def off_any_outgoing(self, listener: Callable[..., Any] | None = None) -> None:
        """Forget a listener, or all of them."""
        self._any_outgoing = _without(self._any_outgoing, listener)
        self._outgoing_changed()

    def listeners_any_outgoing(self) -> list[Callable[..., Any]]:
        """Return the listeners, in the order of their calls."""
        return list(self._any_outgoing or ())


def _without(
    listeners: list[Callable[..., Any]] | None, listener: Callable[..., Any] | None
) -> list[Callable[..., Any]] | None:
    if listeners is None or listener is None:
        return None
    left = list(listeners)
    if listener in left:
        left.remove(listener)
    return left or None


def coroutine_of(
    function: Callable[..., Any], args: tuple[Any, ...]
) -> Coroutine[Any, Any, Any] | None:
    """Call what may be a coroutine function, and return what is to be run then."""
    try:
        result = function(*args)
    except Exception:
        logger.exception("%r has failed", function)
        return None
    return result if type(result) is CoroutineType else None


class Tasks:
    """The tasks of coroutine handlers: held while they run, their errors logged."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[Any]] = set()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine in a task."""
        task = asyncio.ensure_future(coroutine)
        self.running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a task has failed", exc_info=task.exception())

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call what may be a coroutine function; an exception is logged."""
        coroutine = coroutine_of(function, args)
        if coroutine is not None:
            self.start(coroutine)

    async def close(self) -> None:
        """Cancel what runs, but the task that asks for it, and wait for it."""
        current = asyncio.current_task()
        tasks = [task for task in self.running if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
