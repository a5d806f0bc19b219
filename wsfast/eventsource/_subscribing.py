"""One connection of a client: a request, and the stream that answers it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..asyncio._connecting import Exchange
from ..exceptions import InvalidHandshake, InvalidMessage
from ..protocol.heads import BodyReader
from ._subscription import ENDLESS, check_response

if TYPE_CHECKING:
    from ..asyncio.link import Link
    from ..protocol.heads import Limits
    from ..protocol.http import Response
    from .client import EventSourceClient

__all__ = ["Subscribing"]


class Subscribing(Exchange["Response"]):
    """
    A request for an event stream, and then the stream.

    Args:
        link: The way to the server.
        limits: Limits of the response's head.
        request: Octets of the request.
        client: Takes the stream: its ``_opened(response)``, ``_received(data)``.
        idle_timeout: Seconds without any octet until the stream is given up, or None.

    Attributes:
        ended: Done when the stream has ended; never with a result that counts.

    """

    def __init__(
        self,
        link: Link,
        limits: Limits,
        request: bytes,
        client: EventSourceClient,
        idle_timeout: float | None,
    ) -> None:
        super().__init__(link, limits)
        self._asked = request
        self._client = client
        self._idle_timeout = idle_timeout
        self._heard_at = 0.0
        self._stream: BodyReader | None = None
        self.ended: asyncio.Future[None] = link.driver.loop.create_future()

    def _request(self) -> bytes:
        return self._asked

    def _check(self, response: Response) -> None:
        check_response(response)

    def _malformed(self, cause: BaseException) -> InvalidHandshake:
        failure = InvalidMessage("did not receive a valid HTTP response")
        failure.__cause__ = cause
        return failure

    def _accepted(self, response: Response) -> None:
        self.done.set_result(response)
        if response.status_code != 200:
            return
        self._stream = BodyReader(self._reader.head, ENDLESS)
        driver = self.link.driver
        self._heard_at = driver.time()
        if self._idle_timeout is not None:
            driver.schedule(self, self._heard_at + self._idle_timeout)
        self._client._opened(response, self.link)
        self._take(self._reader.rest)

    # ---- the stream ----

    def data_received(self, data: bytes) -> None:
        """Take the next octets of the server."""
        if self._stream is None:
            super().data_received(data)
        elif not self.ended.done():
            self._heard_at = self.link.driver.time()
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Take octets of the body, whatever they are wrapped in."""
        stream = self._stream
        assert stream is not None
        complete = stream.feed(data)
        octets, stream.body = bytes(stream.body), bytearray()
        try:
            if octets:
                self._client._received(octets)
        except Exception as exc:
            self.end(exc)
            return
        if complete:
            self.end(EOFError("the server has ended the event stream"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the news that the connection has ended."""
        super().connection_lost(exc)
        self.end(exc or EOFError("the event stream broke off"))

    def on_timer(self, now: float) -> float:
        """Give up a stream that is silent for too long."""
        if self._stream is None:
            return super().on_timer(now)
        if self.ended.done() or self._idle_timeout is None:
            return 0.0
        due = self._heard_at + self._idle_timeout
        if now >= due:
            self.end(TimeoutError(f"nothing came for {self._idle_timeout} seconds"))
            return 0.0
        return due

    def end(self, exc: Exception) -> None:
        """End the stream, because of this."""
        if not self.ended.done():
            self.ended.set_exception(exc)
            self.ended.exception()  # it need not be asked for
        self.link.driver.cancel(self)
        self.link.abort()
