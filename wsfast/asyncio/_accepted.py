"""The connection of a client that a server has accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exceptions import ConnectionClosed
from .connection import Connection

if TYPE_CHECKING:
    import asyncio

    from ..protocol.extension_frames import Agreed
    from ..protocol.http import Request, Response
    from ..protocol.options import Options
    from ._options import Logger
    from .link import Link
    from .listener import Listener
    from .server import Server

__all__ = ["ServerConnection"]


class ServerConnection(Connection):
    """
    A connection that a client has opened to a :class:`Server`.

    Attributes:
        server: The server.
        username: Who the client is, if :func:`basic_auth` let it in.

    """

    # A __dict__ is for what the application notes; uncompiled there is one already.
    __slots__ = ("server",) if Connection.__dictoffset__ else ("__dict__", "server")

    server: Server
    username: str

    def __init__(
        self,
        link: Link,
        options: Options,
        *,
        server: Server,
        request: Request,
        response: Response | None = None,
        subprotocol: str | None = None,
        deflate: Agreed = None,
        listener: Listener | None = None,
    ) -> None:
        Connection.__init__(
            self,
            link,
            options,
            client=False,
            deflate=deflate,
            request=request,
            response=response if server.has_hooks else None,
            subprotocol=subprotocol,
            listener=listener,
        )
        self.server = server
        if response is None:
            self.ready_state = 0  # CONNECTING

    @property
    def logger(self) -> Logger:
        """Where the server logs."""
        return self.server.logger

    def answer(self) -> Response | None:
        """Return the response, made again: without hooks it has no other source."""
        if self.server.has_hooks or self.ready_state == 0 or self.request is None:
            return None
        return self.server.answer(self.request)

    def accepted(
        self, response: Response, subprotocol: str | None, deflate: Agreed
    ) -> None:
        """Take the outcome of a handshake during which this connection existed."""
        self.response = response
        self.subprotocol = subprotocol
        self.negotiated(deflate)
        self.ready_state = 1  # OPEN

    def respond(self, status: int, text: str) -> Response:
        """
        Return a response in plain text, for the hooks of the handshake.

        Args:
            status: HTTP status.
            text: Body.

        """
        return self.server.reject(status, text)

    def lost(self, exc: BaseException | None) -> None:
        """Take the news that the stream has ended."""
        try:
            super().lost(exc)
        finally:
            self.server.connection_lost(self)

    def handler_done(self, task: asyncio.Task[Any]) -> None:
        """Close the connection, since its handler has returned or failed."""
        code = 1000
        if task.cancelled():
            code = 1011
        elif (exc := task.exception()) is not None:
            code = 1011
            if not isinstance(exc, ConnectionClosed):
                self.logger.error("connection handler failed", exc_info=exc)
        self.close(code)
        self.stop_counting()
        self.server.handler_done(task)
