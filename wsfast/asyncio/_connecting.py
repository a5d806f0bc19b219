"""
Requests of a client, each with its response, on whatever link the octets come.

:class:`Connecting` is the opening handshake as a client sees it (RFC 6455 §4.1). It
makes the connection in the same callback in which the response is complete, so that
what follows the response is delivered in order. :class:`Tunneling` asks an HTTP proxy
for a tunnel to the server (RFC 9110 §9.3.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..exceptions import (
    HandshakeError,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
)
from ..protocol.heads import BodyReader, HeadReader, Limits, parse_response
from ..protocol.proxy import check_connect_response

if TYPE_CHECKING:
    from ..protocol.client import ClientHandshake
    from ..protocol.http import Response
    from .client import ClientConnection
    from .link import Link

__all__ = ["Connecting", "Tunneling"]

#: How long the body of a response that refuses may take, in seconds.
BODY_S = 2.0

Make = Callable[["Link", "ClientHandshake", "Response"], "ClientConnection"]
Result = TypeVar("Result")


class Exchange(Generic[Result]):
    """
    One request, and the response to it (abstract).

    Args:
        link: The way to the server.
        limits: Limits of the response.

    """

    def __init__(self, link: Link, limits: Limits) -> None:
        self.link = link
        self.limits = limits
        self.timer_slot = 0
        self.timer_index = 0
        self.done: asyncio.Future[Result]
        self.done = link.driver.loop.create_future()
        self._reader = HeadReader(limits, kind="response")
        self._body: BodyReader | None = None
        self._refusal: InvalidStatus | InvalidProxyStatus | None = None
        link.receiver = self

    async def run(self) -> Result:
        """
        Send the request, and return what its response gives.

        Raises:
            InvalidHandshake: The request is refused, or its response malformed. The
                stream is ended then, as it is when this is cancelled.

        """
        try:
            self.link.write(self._request())
            return await self.done
        except BaseException:
            done = self.done
            if done.done() and not done.cancelled() and done.exception() is None:
                self._unwanted(done.result())
            self.link.driver.cancel(self)
            self.link.abort()
            raise

    # ---- what the subclasses know ----

    def _request(self) -> bytes:
        """Return the octets of the request."""
        raise NotImplementedError

    def _check(self, response: Response) -> None:
        """Raise what is wrong with a response; InvalidStatus where it refuses."""
        raise NotImplementedError

    def _accepted(self, response: Response) -> None:
        """Set the result."""
        raise NotImplementedError

    def _malformed(self, cause: BaseException) -> InvalidHandshake:
        """Return the error for a response that is none."""
        raise NotImplementedError

    def _unwanted(self, result: Any) -> None:
        """Throw away a result that nobody will have."""

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
            self._check(response)
        except (InvalidStatus, InvalidProxyStatus) as exc:
            self._refusal = exc
            self._read_body()
        except Exception as exc:
            self.done.set_exception(self._failure(exc))
        else:
            self._accepted(response)

    def _failure(self, exc: Exception) -> Exception:
        """Return what to raise for an error that a response gave."""
        return self._malformed(exc) if isinstance(exc, InvalidMessage) else exc

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the news that the server has ended the stream."""
        self.link.driver.cancel(self)
        if self.done.done():
            return
        if self._body is not None:
            self._body.feed(b"")
            self._refuse()
            return
        cause = exc or EOFError("connection closed before the response")
        self.done.set_exception(self._malformed(cause))

    def on_timer(self, now: float) -> float:
        """Do not wait any longer for the rest of a refusal's body."""
        if not self.done.done():
            self._refuse()
        return 0.0

    # ---- refusals ----

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


class Connecting(Exchange["ClientConnection"]):
    """
    The opening handshake of one client.

    Args:
        link: The way to the server.
        handshake: What to ask for.
        limits: Limits of the response.
        make: Makes the connection, once the response is accepted.

    """

    def __init__(
        self, link: Link, handshake: ClientHandshake, limits: Limits, make: Make
    ) -> None:
        super().__init__(link, limits)
        self.handshake = handshake
        self.make = make

    def _request(self) -> bytes:
        return self.handshake.request.serialize()

    def _check(self, response: Response) -> None:
        self.handshake.accept(response)

    def _malformed(self, cause: BaseException) -> InvalidHandshake:
        failure = InvalidMessage("did not receive a valid HTTP response")
        failure.__cause__ = cause
        return failure

    def _accepted(self, response: Response) -> None:
        try:
            connection = self.make(self.link, self.handshake, response)
        except Exception as exc:
            self.done.set_exception(exc)
            return
        self.done.set_result(connection)
        connection.opened()
        self.link.start(connection, self._reader.rest)

    def _unwanted(self, result: ClientConnection) -> None:
        result.abort()


class Tunneling(Exchange[None]):
    """
    A request to an HTTP proxy for a tunnel; there is one, whatever the proxy answers.

    The tunnel is the link itself, after :meth:`run` has returned.

    Args:
        link: The way to the proxy.
        request: Octets of the request.
        limits: Limits of the response.

    """

    def __init__(self, link: Link, request: bytes, limits: Limits) -> None:
        super().__init__(link, limits)
        self.request = request

    def _request(self) -> bytes:
        return self.request

    def _check(self, response: Response) -> None:
        check_connect_response(response)
        if self._reader.rest:
            # A server of HTTP or TLS says nothing before it is spoken to.
            raise InvalidMessage("octets behind the response")

    def _malformed(self, cause: BaseException) -> InvalidHandshake:
        failure = InvalidProxyMessage(
            "did not receive a valid HTTP response from proxy"
        )
        failure.__cause__ = cause
        return failure

    def _failure(self, exc: Exception) -> Exception:
        if isinstance(exc, HandshakeError) and not isinstance(exc, InvalidProxyStatus):
            return self._malformed(exc)  # beyond a limit, too
        return exc

    def _accepted(self, response: Response) -> None:
        self.link.receiver = None
        self.done.set_result(None)
