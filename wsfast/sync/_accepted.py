"""The connection of a client that a server for threads has accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..protocol.http import Request, Response, build_response
from .connection import Connection

if TYPE_CHECKING:
    from ..protocol.extension_frames import Agreed
    from ._stream import Stream
    from .server import Server

__all__ = ["ServerConnection"]


class ServerConnection(Connection):
    """
    A connection that a client has opened to a :class:`Server`.

    Args:
        stream: The way to the client.
        server: The server.
        request: The client's request.

    Attributes:
        server: The server.
        username: Who the client is, if :func:`basic_auth` let it in.

    """

    username: str

    def __init__(self, stream: Stream, server: Server, request: Request) -> None:
        Connection.__init__(
            self,
            stream,
            server.options,
            client=False,
            request=request,
            logger=server.logger,
        )
        self.server = server
        self.ready_state = 0  # CONNECTING

    def accepted(
        self, response: Response, subprotocol: str | None, deflate: Agreed
    ) -> None:
        """Take the outcome of the opening handshake."""
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
        return build_response(status, text, self.server.server_header)

    def lost(self) -> None:
        """Take the news that the connection has ended."""
        self.server.connection_lost(self)
