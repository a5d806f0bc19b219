# cython: binding=False
"""
What a task waits on in ``recv()``, and what ``send()`` returns.

A task that awaits an :class:`asyncio.Future` is stepped a turn of the event loop after
the future is done. Here the connection steps it itself, in the same turn, when the
message is there: the task is handed a :class:`Waiter`, which looks like a future to it,
and calls back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Generator, Iterator

    from .link import Driver

__all__ = ["DONE", "DROPPED", "Later", "Waiter"]


class Waiter:
    """
    A future, as far as a task can tell, that is used again and again.

    It follows the protocol between :class:`asyncio.Task` and what it waits on: the task
    registers its wake-up by :meth:`add_done_callback`, and asks for :meth:`result` when
    it is woken up, for the exception that this may raise.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._asyncio_future_blocking = False
        self._callback: Callable[[Any], object] | None = None
        self._context: contextvars.Context | None = None
        self._done = False
        self._cancelled = False
        self._cancel_message: Any = None

    def prepare(self) -> None:
        """Make ready to be waited on (again)."""
        self._asyncio_future_blocking = True
        self._callback = None
        self._context = None
        self._done = False
        self._cancelled = False

    def wake(self) -> None:
        """Step the waiting task: here and now if that is right, else soon."""
        driver = self._driver
        if not driver.direct or self._context is None:
            self.wake_soon()
            return
        callback, context = self._callback, self._context
        if callback is None or self._done:
            return
        self._done = True
        self._callback = self._context = None
        driver.direct = False  # from here on a task is running
        try:
            # A task is fastest in asking a future of asyncio's own for the result.
            driver.step(callback, context)
        finally:
            driver.direct = True

    def wake_soon(self) -> None:
        """Have the waiting task stepped in the loop's next turn, as a future does."""
        callback = self._callback
        if callback is None or self._done:
            return
        self._done = True
        self._driver.loop.call_soon(callback, self, context=self._context)
        self._callback = self._context = None

    # ---- what a task calls ----

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop that this belongs to."""
        return self._driver.loop

    def add_done_callback(
        self,
        callback: Callable[[Any], object],
        *,
        context: contextvars.Context | None = None,
    ) -> None:
        """Have ``callback(self)`` called in ``context`` once there is a message."""
        self._callback = callback
        self._context = context

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget ``callback``; return how many there were."""
        if self._callback != callback:
            return 0
        self._callback = self._context = None
        return 1

    def cancel(self, msg: Any = None) -> bool:
        """Wake the task up to be cancelled; False if it is being woken up already."""
        if self._done:
            return False
        self._done = self._cancelled = True
        self._cancel_message = msg
        callback, self._callback = self._callback, None
        if callback is not None:
            self._driver.loop.call_soon(callback, self, context=self._context)
        self._context = None
        return True

    def cancelled(self) -> bool:
        """Tell whether :meth:`cancel` was called."""
        return self._cancelled

    def done(self) -> bool:
        """Tell whether the task is being woken up."""
        return self._done

    def result(self) -> None:
        """
        Return None: the task finds the message by itself.

        Raises:
            CancelledError: :meth:`cancel` was called.
            InvalidStateError: The task is not being woken up.

        """
        if self._cancelled:
            if self._cancel_message is None:
                raise asyncio.CancelledError
            raise asyncio.CancelledError(self._cancel_message)
        if not self._done:
            raise asyncio.InvalidStateError("there is no message yet")

    def exception(self) -> None:
        """Return None, or raise what :meth:`result` raises."""
        self.result()


class Later:
    """
    Something that is done already, and that can be awaited for what comes of it.

    Unlike a coroutine it may be dropped without being awaited.

    Args:
        finish: Makes the coroutine that waits for the rest; None if there is no rest.
        result: What awaiting gives if there is no rest.

    """

    def __init__(
        self,
        finish: Callable[[], Coroutine[Any, Any, Any]] | None = None,
        result: Any = None,
    ) -> None:
        self._finish = finish
        self._result = result
        self._coroutine: Coroutine[Any, Any, Any] | None = None

    def __await__(self) -> Generator[Any, Any, Any]:
        if self._finish is None:
            return cast("Generator[Any, Any, Any]", self)
        return self._finish().__await__()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Resume, as a coroutine's ``send``."""
        if self._finish is None:
            raise StopIteration(self._result)
        if self._coroutine is None:
            self._coroutine = self._finish()
        return self._coroutine.send(value)

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Raise an exception where the task waits, as a coroutine's ``throw``."""
        if value is None:
            value = kind if isinstance(kind, BaseException) else kind()
        if self._coroutine is None:
            raise value
        return self._coroutine.throw(value)

    def close(self) -> None:
        """Give up waiting, as a coroutine's ``close``."""
        if self._coroutine is not None:
            self._coroutine.close()


Coroutine.register(Later)

#: What an operation returns that left nothing to wait for.
DONE = Later()

#: What ``send()`` returns for a message that was dropped.
DROPPED = Later(None, False)
