"""The request that a session began with, whoever has read it."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..asgi.exchange import cookies_of, path_of, query_of
from ..protocol.headers import Headers

if TYPE_CHECKING:
    from ..asyncio.connection import Connection

__all__ = ["Request"]


class Request:
    """
    A request of a client.

    Args:
        scope: That of an ASGI server; or what is like it.

    Attributes:
        scope: As given.

    """

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self.scope = scope

    @classmethod
    def of_connection(cls, connection: Connection, request: Any = None) -> Request:
        """
        Return the request that a connection of :func:`wsfast.serve` began with.

        Args:
            connection: The connection.
            request: Its request, while that is being decided about.

        """
        request = request or connection.request
        assert request is not None
        path, _, query = request.path.partition("?")
        address = connection.remote_address
        return cls(
            {
                "type": "websocket",
                "path": unquote(urlsplit(path).path if path[:1] != "/" else path),
                "query_string": query.encode("latin-1"),
                "headers": [
                    (name.lower().encode("latin-1"), value.encode("latin-1"))
                    for name, value in request.headers.raw_items()
                ],
                "client": address if isinstance(address, tuple) else None,
                "scheme": "wss"
                if connection.transport.get_extra_info("ssl_object") is not None
                else "ws",
            }
        )

    @property
    def method(self) -> str:
        """The request's method."""
        method: str = self.scope.get("method", "GET")
        return method

    @property
    def path(self) -> str:
        """Its path, decoded, below where the application is mounted."""
        return path_of(self.scope)

    @cached_property
    def query(self) -> dict[str, str]:
        """Parameters of its query, decoded; of those given twice, the first."""
        return query_of(self.scope)

    @cached_property
    def headers(self) -> Headers:
        """Its header fields."""
        return Headers.from_raw(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self.scope["headers"]
        )

    @property
    def cookies(self) -> dict[str, str]:
        """Its cookies."""
        return cookies_of(self.scope)

    @property
    def remote_address(self) -> Any:
        """Host and port of the client, or of the proxy before us; None if unknown."""
        return self.scope.get("client")

    @property
    def is_upgrade(self) -> bool:
        """Whether a WebSocket is asked for."""
        return bool(self.scope["type"] == "websocket")

    @property
    def transport(self) -> str:
        """The transport that the client asks for."""
        return self.query.get("transport", "")
