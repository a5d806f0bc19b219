"""The three ways to use what connects: ``await``, ``async with``, ``async for``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from ..protocol.retrying import Retrying

__all__ = ["Connector"]


class _Closing(Protocol):
    """What ``async with`` ends."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


Made = TypeVar("Made", bound=_Closing)


class Connector(Generic[Made]):
    """
    Something that opens connections; see :class:`~wsfast.asyncio.connect` (abstract).

    Attributes:
        connection: The connection of ``async with``.
        process_exception: Tells the ``async for`` form whether to try again.
        reconnect_delays: Makes the delays of the ``async for`` form.
        logger: Where to log.

    """

    connection: Made
    process_exception: Callable[[Exception], Exception | None]
    reconnect_delays: Callable[[], Generator[float, None, None]]
    logger: Any

    async def connect(self) -> Made:
        """Open a connection; what awaiting this object does."""
        raise NotImplementedError

    def __await__(self) -> Generator[Any, None, Made]:
        return self.connect().__await__()

    async def __aenter__(self) -> Made:
        if hasattr(self, "connection"):
            raise RuntimeError("connect() isn't reentrant")
        self.connection = await self
        return self.connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection = self.connection
        del self.connection
        await connection.__aexit__(exc_type, exc_value, traceback)

    async def __aiter__(self) -> AsyncIterator[Made]:
        loop = asyncio.get_running_loop()
        retrying = Retrying(self.process_exception, self.reconnect_delays, self.logger)
        while True:
            opened_at: float | None = None
            try:
                async with self as connection:
                    opened_at = loop.time()
                    yield connection
                why = "connection ended"
            except Exception as exc:
                why = retrying.failed(exc)
            lasted_s = 0.0 if opened_at is None else loop.time() - opened_at
            await asyncio.sleep(retrying.delay(why, lasted_s))
