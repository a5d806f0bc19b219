"""
Requests of plain HTTP, and responses whose bodies are taken piece by piece.

:class:`Streaming` is one request on a link of its own, or on one that another request
has left in order. :class:`Requests` sends one request after the other to a server, and
keeps the connection in between (RFC 9112 §9.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from ..exceptions import InvalidHandshake, InvalidMessage, InvalidStatus
from ..protocol.heads import ENDLESS, BodyReader, Limits
from ..protocol.http import Response
from ._connecting import Exchange

if TYPE_CHECKING:
    from ._stream import StreamLink
    from .link import Link

__all__ = ["Refused", "Requests", "Streaming"]

#: How long a connection without a request is used again, in seconds: servers end idle
#: ones after 5 s and more, and whether they did a request cannot tell for certain.
KEEP_S: Final = 2.0


class Refused(InvalidStatus):
    """The server answered with another status than 2xx."""

    reason_code = "refused"

    def __str__(self) -> str:
        return f"server refused the request: HTTP {self.response.status_code:d}"


class Streaming(Exchange[Response]):
    """
    A request, and a response whose body is taken piece by piece (abstract).

    Args:
        link: The way to the server.
        limits: Limits of the response's head, and of the body of one that refuses.
        request: Octets of the request.
        idle_timeout: Seconds without any octet until it is given up, or None.

    Attributes:
        ended: Done when the body has ended: with None if it was whole.

    """

    def __init__(
        self, link: Link, limits: Limits, request: bytes, idle_timeout: float | None
    ) -> None:
        super().__init__(link, limits)
        self._asked = request
        self._idle_timeout = idle_timeout
        self._heard_at = 0.0
        self._stream: BodyReader | None = None
        self.ended: asyncio.Future[None] = link.driver.loop.create_future()

    # ---- what the subclasses know ----

    #: What it says when the connection ends before the body does.
    _broke_off = "the response broke off"

    def _begin(self, response: Response) -> bool:
        """Take a response; False if its body is of no interest."""
        raise NotImplementedError

    def _received(self, data: bytes) -> None:
        """Take octets of the body; what this raises ends it."""
        raise NotImplementedError

    def _complete(self, whole: bool) -> None:
        """Take the end of the body; ``whole`` if HTTP has marked it."""
        raise NotImplementedError

    # ---- the response ----

    def _request(self) -> bytes:
        return self._asked

    def _malformed(self, cause: BaseException) -> InvalidHandshake:
        failure = InvalidMessage("did not receive a valid HTTP response")
        failure.__cause__ = cause
        return failure

    def _accepted(self, response: Response) -> None:
        self.done.set_result(response)
        if not self._begin(response):
            return
        self._stream = BodyReader(self._reader.head, ENDLESS)
        self._take(self._reader.rest)

    def data_received(self, data: bytes) -> None:
        """Take the next octets of the server."""
        self._heard_at = self.link.driver.time()
        if self._stream is None:
            super().data_received(data)
        elif not self.ended.done():
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Take octets of the body, whatever they are wrapped in."""
        stream = self._stream
        assert stream is not None
        complete = stream.feed(data)
        octets, stream.body = bytes(stream.body), bytearray()
        try:
            if octets:
                self._received(octets)
        except Exception as exc:
            self.end(exc)
            return
        if complete and not self.ended.done():
            self._complete(stream.whole)

    # ---- the end ----

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the news that the connection has ended."""
        super().connection_lost(exc)
        self.end(exc or EOFError(self._broke_off))

    def watch(self) -> None:
        """Begin to give it up when nothing comes for too long."""
        driver = self.link.driver
        self._heard_at = driver.time()
        if self._idle_timeout is not None:
            driver.schedule(self, self._heard_at + self._idle_timeout)

    def on_timer(self, now: float) -> float:
        """Give up a server that is silent for too long."""
        if self._body is not None:
            return super().on_timer(now)
        if self.ended.done() or self._idle_timeout is None:
            return 0.0
        due = self._heard_at + self._idle_timeout
        if now >= due:
            self.end(TimeoutError(f"nothing came for {self._idle_timeout} seconds"))
            return 0.0
        return due

    def end(self, exc: Exception) -> None:
        """End it, because of this."""
        for future in (self.done, self.ended):
            if not future.done():
                future.set_exception(exc)
                future.exception()  # it need not be asked for
        self.link.driver.cancel(self)
        self.link.abort()


class _Request(Streaming):
    """
    One request among others.

    Args:
        link: The way to the server.
        limits: Limits of the response's head, and of the body of one that refuses.
        request: Octets of the request.
        receive: Takes the octets of the body.
        idle_timeout: Seconds without any octet until it is given up, or None.

    Attributes:
        answered: Octets of the response have arrived.
        reusable: The connection is in order for another request.
        paused: Reading is paused: silence is ours.

    """

    def __init__(
        self,
        link: Link,
        limits: Limits,
        request: bytes,
        receive: Callable[[bytes], object],
        idle_timeout: float | None,
    ) -> None:
        super().__init__(link, limits, request, idle_timeout)
        self._receive = receive
        self._keep = False
        self._to_the_end = False
        self.answered = False
        self.reusable = False
        self.paused = False

    def _check(self, response: Response) -> None:
        if not 200 <= response.status_code < 300:
            raise Refused(response)

    def _begin(self, response: Response) -> bool:
        fields = response.headers
        tokens = ",".join(fields.get_all("Connection")).lower().split(",")
        self._keep = response.protocol == "HTTP/1.1" and "close" not in map(
            str.strip, tokens
        )
        self._to_the_end = response.status_code not in (204, 205, 304) and not (
            "Content-Length" in fields or "Transfer-Encoding" in fields
        )
        return True

    def data_received(self, data: bytes) -> None:
        self.answered = True
        super().data_received(data)

    def _received(self, data: bytes) -> None:
        self._receive(data)

    def _complete(self, whole: bool) -> None:
        if not whole:
            self.end(InvalidMessage("the body of the response is malformed"))
            return
        self.reusable = self._keep
        self.ended.set_result(None)
        self.link.driver.cancel(self)

    def connection_lost(self, exc: Exception | None) -> None:
        whole = exc is None and self._stream is not None and self._to_the_end
        if whole and not self.ended.done():
            self._complete(True)
        super().connection_lost(exc)

    def on_timer(self, now: float) -> float:
        if self.paused:
            self._heard_at = now
        return super().on_timer(now)


class Requests:
    """
    Requests to one server, one at a time, over a connection that is kept in between.

    Args:
        open_link: Opens the stream to the server.
        limits: Limits of the responses' heads, and of bodies that refuse.

    """

    def __init__(
        self, open_link: Callable[[], Awaitable[StreamLink]], limits: Limits
    ) -> None:
        self._open_link = open_link
        self._limits = limits
        self._link: StreamLink | None = None
        self._idle_since = 0.0
        self._running: _Request | None = None
        self._paused = False

    async def request(
        self,
        request: bytes,
        receive: Callable[[bytes], object],
        *,
        idle_timeout: float | None = None,
        again: bool = False,
    ) -> Response:
        """
        Send a request; return when the body of its response has ended.

        Args:
            request: Octets of the request.
            receive: Takes the octets of a response with status 2xx; what it raises
                ends the connection.
            idle_timeout: Seconds without any octet until it is given up.
            again: Send it once more if a connection that was kept turns out to have
                ended: for a request that does no harm twice.

        Returns:
            The response; its body has gone to ``receive``.

        Raises:
            Refused: The status is not 2xx; has the response and its body.
            InvalidHandshake: The response is malformed, or beyond a limit.
            OSError: The server is not reached, or was lost.
            EOFError: The body broke off.
            TimeoutError: Nothing came for so long.

        """
        kept = self._take_kept()
        link = await self._open_link() if kept is None else kept
        running = _Request(link, self._limits, request, receive, idle_timeout)
        self._running = running
        try:
            if self._paused:
                self.pause_reading()
            running.watch()
            link.replay(running)
            response = await running.run()
            await running.ended
        except InvalidMessage:
            if not again or kept is None or running.answered:
                raise
        except BaseException:
            link.abort()
            raise
        else:
            self._keep(running, link)
            return response
        finally:
            self._running = None
        return await self.request(request, receive, idle_timeout=idle_timeout)

    # ---- the connection ----

    def _take_kept(self) -> StreamLink | None:
        """Return the connection that was kept, if it is good for another request."""
        link, self._link = self._link, None
        if link is None or link.driver.time() - self._idle_since <= KEEP_S:
            return link
        link.receiver = None
        link.abort()
        return None

    def _keep(self, running: _Request, link: StreamLink) -> None:
        if running.reusable:
            link.receiver = self
            if self._paused:
                link.resume_reading()
            self._link = link
            self._idle_since = link.driver.time()
        else:
            link.abort()

    def data_received(self, data: bytes) -> None:
        """Take octets that nobody has asked for."""
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the news that the server has ended the connection that was kept."""
        self._link = None

    def pause_reading(self) -> None:
        """Read no more of a response until :meth:`resume_reading`."""
        self._paused = True
        if self._running is not None:
            self._running.paused = True
            self._running.link.pause_reading()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        self._paused = False
        if self._running is not None:
            self._running.paused = False
            self._running.link.resume_reading()

    def get_extra_info(self, name: str) -> object:
        """Return what is known of the connection under ``name``, or None."""
        link = self._link if self._running is None else self._running.link
        return None if link is None else link.get_extra_info(name)

    def close(self) -> None:
        """End the connection that was kept; a request is ended by cancelling it."""
        link, self._link = self._link, None
        if link is not None:
            link.receiver = None
            link.abort()
