"""On which terms a WebSocket is opened where the opening handshake is ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..exceptions import InvalidHandshake
from ..protocol.arguments import Compression, compression_of
from ..protocol.headers import Headers, HeadersLike
from ..protocol.heads import DEFAULT_LIMITS, HeadError, Limits
from ..protocol.http import SERVER, Request, Response
from ..protocol.options import Options
from ..protocol.server import ServerHandshake

__all__ = ["Terms", "names_of"]


def names_of(protocols: str | Iterable[str] | None) -> list[str]:
    """Return subprotocols, of which one may be given by itself, as a list."""
    if protocols is None:
        return []
    return [protocols] if isinstance(protocols, str) else list(protocols)


class Terms:
    """
    The arguments of an attached WebSocket, beside those about its host.

    Args:
        protocols: Subprotocols supported, best first; or one. A client that offers
            others alone is refused.
        headers: Header fields to add to the response.
        origins: Origins allowed, as for :func:`~wsfast.serve`; None allows all.
        compression: ``"deflate"``, :class:`DeflateOptions`, or None.
        extensions: Extension factories, best first; of two offers that would claim the
            same RSV bit, the second is declined.
        server_header: Value of the Server header, or None.
        open_timeout: Seconds in which the request has to arrive.
        limits: Limits of its head.
        logger: Logger; by default ``wsfast.server``.
        options: The limits and habits of :class:`~wsfast.protocol.options.Options`.

    Raises:
        TypeError: There is no such argument.
        ValueError: An argument makes no sense, or cannot be sent.

    """

    def __init__(
        self,
        protocols: str | Iterable[str] | None,
        headers: HeadersLike | None,
        *,
        origins: Sequence[str | re.Pattern[str] | None] | None = None,
        compression: Compression = "deflate",
        extensions: Sequence[Any] | None = None,
        server_header: str | None = SERVER,
        open_timeout: float | None = 10,
        limits: Limits | None = None,
        logger: Any = None,
        **options: Any,
    ) -> None:
        self.headers = list(Headers(headers or ()).raw_items())
        self.options = Options(**options)
        self.handshake = ServerHandshake(
            origins=origins,
            subprotocols=names_of(protocols) or None,
            deflate=compression_of(compression),
            extensions=extensions,
            server_header=server_header,
        )
        self.open_timeout = open_timeout
        self.limits = DEFAULT_LIMITS if limits is None else limits
        self.logger = logger

    def answer(self, request: Request) -> Response:
        """Return the response to a request; :attr:`handshake` has the rest."""
        response = self.handshake.accept(request)
        if response.status_code == 101:
            for name, value in self.headers:
                response.headers[name] = value
        return response

    def refuse(self, exc: Exception) -> Response:
        """Return the response to what is no request, and note why."""
        status = exc.code if isinstance(exc, HeadError) else 408
        text = f"{exc}.\n" if isinstance(exc, HeadError) else TOO_LATE
        return self.handshake.reject(status, text)

    def connection_arguments(
        self, request: Request, response: Response
    ) -> dict[str, Any]:
        """Return the keyword arguments of the connection that was agreed upon."""
        return {
            "client": False,
            "deflate": self.handshake.deflate,
            "request": request,
            "response": response,
            "subprotocol": self.handshake.subprotocol,
            "logger": self.logger,
        }

    def why(self) -> Exception:
        """Return the error that tells why the client was refused."""
        return self.handshake.exception or InvalidHandshake("the client was refused")


TOO_LATE = "The opening handshake timed out.\n"
