"""Responses that stream over a link of ours: what a session says goes out at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._http import Client, DirectExchange

if TYPE_CHECKING:
    from ._polled import PolledSession
    from ._responses import Transport

__all__ = ["Pushing"]


class Pushing:
    """
    A request that listens, and the response to it, without a task.

    While the system takes what is written, messages do not wait in the session at all:
    :meth:`send` frames each, and those of one pass leave by one system call. Once it
    does not, they do, within the session's limits, and leave as one frame.

    Args:
        transport: The way it listens.
        session: The session; it has accepted this listener.
        exchange: The request.
        callback: The function to call back, for the transport that has one.
        limit: Octets after which the response ends.

    Attributes:
        writing_since: Since when the system takes no octets, on the loop's clock; 0 if
            it does.
        shares: Frames are those of xhr-streaming in chunks, which `Prepared` makes once
            for all.

    """

    __slots__ = (
        "_callback",
        "_client",
        "_exchange",
        "_left",
        "_over",
        "_session",
        "_transport",
        "_write",
        "shares",
        "writing_since",
    )

    def __init__(
        self,
        transport: Transport,
        session: PolledSession,
        exchange: DirectExchange,
        callback: str,
        limit: int,
    ) -> None:
        self.writing_since = 0.0
        self.shares = False
        self._transport = transport
        self._session = session
        self._exchange = exchange
        self._client: Client = exchange.client
        self._write = exchange.client.link.write
        self._callback = callback
        self._left = limit
        self._over = False

    def begin(self, fields: list[tuple[str, str]]) -> None:
        """Begin the response, and say what the session has to say already."""
        client = self._client
        prelude = self._transport.prelude(self._callback)
        try:
            self._exchange.begin(200, fields, prelude)
        except OSError:
            self.lost()
            return
        except ValueError:  # a field that a hook has added cannot be sent
            self.lost()
            raise
        self.shares = client.chunked and self._transport.name == "xhr-streaming"
        client.streaming = self
        self.wake()

    def wake(self) -> None:
        """Say what the session has to say, as far as there is room."""
        session, client = self._session, self._client
        if session.sink is self:
            session.sink = None
        while not (self._over or client.full):
            frame = session.take()
            if frame is None:
                session.hand_over_to(self)
                return
            self.send(frame)
            if frame[:1] == b"c" and not self._over:
                self._end()

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        piece = self._transport.wrap(frame, self._callback)
        self.send_piece(self._client.piece(piece), len(piece))

    def send_piece(self, piece: bytes, size: int) -> None:
        """Send a frame as it goes over the link; its size is the response's share."""
        self._write(piece)
        self._left -= size
        if self._left <= 0:
            self._end()

    def _end(self) -> None:
        """End the response; the session goes on with the next one, if it does."""
        self._over = True
        self._session.leave(self)
        self._client.end()

    def cut(self) -> None:
        """End the response if it is stuck: the session is no more."""
        if self._client.full:
            self._over = True
            self._client.link.abort()

    # ---- what the client's connection tells ----

    def pause(self) -> None:
        """Have messages wait in the session."""
        self.writing_since = self._session.driver.time()
        if self._session.sink is self:
            self._session.sink = None

    def resume(self) -> None:
        """Go on with what has waited."""
        self.writing_since = 0.0
        self.wake()

    def lost(self) -> None:
        """End the session: its response was cut off."""
        self._over = True
        self._session.lost(self)
