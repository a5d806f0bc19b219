"""
The opening handshake as a client sees it (RFC 6455 §4.1).

It lives from the request to the end of the response, on whatever link the octets come,
and makes the connection in the same callback in which the response is complete, so that
what follows the response is delivered in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..exceptions import InvalidHandshake, InvalidMessage, InvalidStatus
from ..protocol.heads import BodyReader, HeadReader, Limits, parse_response

if TYPE_CHECKING:
    from ..protocol.client import ClientHandshake
    from ..protocol.http import Response
    from .client import ClientConnection
    from .link import Link

__all__ = ["Connecting"]

#: How long the body of a response that refuses may take, in seconds.
BODY_S = 2.0

Make = Callable[["Link", "ClientHandshake", "Response"], "ClientConnection"]


class Connecting:
    """
    The handshake of one client.

    Args:
        link: The way to the server.
        handshake: What to ask for.
        limits: Limits of the response.
        make: Makes the connection, once the response is accepted.

    """

    def __init__(
        self, link: Link, handshake: ClientHandshake, limits: Limits, make: Make
    ) -> None:
        self.link = link
        self.handshake = handshake
        self.limits = limits
        self.make = make
        self.timer_slot = 0
        self.timer_index = 0
        self.done: asyncio.Future[ClientConnection]
        self.done = link.driver.loop.create_future()
        self._reader = HeadReader(limits, kind="response")
        self._body: BodyReader | None = None
        self._refusal: InvalidStatus | None = None
        link.receiver = self

    async def run(self) -> ClientConnection:
        """
        Send the request, and return the open connection.

        Raises:
            InvalidHandshake: The server refuses, or is no WebSocket server. The stream
                is ended then, as it is when this is cancelled.

        """
        try:
            self.link.write(self.handshake.request.serialize())
            return await self.done
        except BaseException:
            done = self.done
            if done.done() and not done.cancelled() and done.exception() is None:
                done.result().abort()  # nobody will have it
            self.link.driver.cancel(self)
            self.link.abort()
            raise

    # ---- what the link and the driver call ----

    def data_received(self, data: bytes) -> None:
        """Take the next octets of the server."""
        if self.done.done():
            return
        if self._body is not None:
            if self._body.feed(data):
                self._refuse()
            return
        try:
            if not self._reader.feed(data):
                return
            response = parse_response(self._reader.head)
            self.handshake.accept(response)
        except InvalidStatus as exc:
            self._refusal = exc
            self._read_body()
        except InvalidMessage as exc:
            failure = InvalidMessage("did not receive a valid HTTP response")
            failure.__cause__ = exc
            self.done.set_exception(failure)
        except InvalidHandshake as exc:
            self.done.set_exception(exc)
        except Exception as exc:
            self.done.set_exception(exc)
        else:
            self._open(response)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the news that the server has ended the stream."""
        self.link.driver.cancel(self)
        if self.done.done():
            return
        if self._body is not None:
            self._body.feed(b"")
            self._refuse()
            return
        failure = InvalidMessage("did not receive a valid HTTP response")
        failure.__cause__ = exc or EOFError("connection closed before the response")
        self.done.set_exception(failure)

    def on_timer(self, now: float) -> float:
        """Do not wait any longer for the rest of a refusal's body."""
        if not self.done.done():
            self._refuse()
        return 0.0

    # ---- the outcomes ----

    def _open(self, response: Response) -> None:
        try:
            connection = self.make(self.link, self.handshake, response)
        except Exception as exc:
            self.done.set_exception(exc)
            return
        self.done.set_result(connection)
        connection.opened()
        self.link.start(connection, self._reader.rest)

    def _read_body(self) -> None:
        """Read the body of a response that refuses, to show it."""
        self._body = BodyReader(self._reader.head, self.limits)
        if self._body.complete or self._body.feed(self._reader.rest):
            self._refuse()
        else:
            driver = self.link.driver
            driver.schedule(self, driver.time() + BODY_S)

    def _refuse(self) -> None:
        assert self._refusal is not None
        assert self._body is not None
        self._refusal.response.body = bytes(self._body.body)
        self.done.set_exception(self._refusal)
