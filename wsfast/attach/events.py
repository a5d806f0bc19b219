"""What every attached WebSocket has: its events, and what waits for it to open."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from ..exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    WebSocketException,
)

__all__ = ["CLOSED", "CLOSING", "CONNECTING", "OPEN", "Target", "why_it_failed"]

CONNECTING, OPEN, CLOSING, CLOSED = range(4)

#: Messages, and their octets, that may wait for a WebSocket to open.
MAX_WAITING = 1000
MAX_WAITING_SIZE = 1 << 20

TAKEN = "there is on_message, which takes the messages"


def why_it_failed(exc: BaseException | None) -> BaseException | None:
    """
    Return what the error event is about; None if an end is none.

    Args:
        exc: What receiving raised at the end, or opening.

    """
    if not isinstance(exc, ConnectionClosed):
        return exc
    cause = exc.__cause__
    if isinstance(cause, (OSError, WebSocketException)) and not isinstance(
        cause, ConnectionClosed
    ):
        return cause  # what the peer did wrong, or the network
    return exc if exc.code == 1006 else None


class Target:
    """
    The half of a WebSocket that has nothing to do with how it waits.

    Attributes:
        on_open: ``on_open(ws)``: it is open, and what waited has been sent.
        on_message: ``on_message(ws, message)``, with a ``str`` or ``bytes``.
        on_error: ``on_error(ws, exc)``: it could not be opened, the peer broke a rule,
            or was lost; ``on_close`` follows.
        on_close: ``on_close(ws, code, reason)``: it has ended, whatever ended it.
        url: What the client asked for.
        version: The version of the protocol, as Faye calls it.

    """

    version = "hybi-13"

    on_open: Callable[[Any], object] | None
    on_message: Callable[[Any, Any], object] | None
    on_error: Callable[[Any, BaseException], object] | None
    on_close: Callable[[Any, int, str], object] | None

    def __init__(self, url: str, logger: Any, client: bool) -> None:
        self.on_open = self.on_message = self.on_error = self.on_close = None
        self.url = url
        if logger is None:
            logger = logging.getLogger("wsfast.client" if client else "wsfast.server")
        self.logger = logger
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self._connection: Any = None
        self._failure: BaseException | None = None
        self._response: Any = None
        self._told = False
        self._end: tuple[int, str] | None = None
        self._waiting: deque[tuple[Any, bool | None, bool | None]] = deque()
        self._waiting_size = 0

    # ---- before it is open ----

    def _wait(self, message: Any, text: bool | None, compress: bool | None) -> None:
        """
        Keep a message until it can be sent.

        Raises:
            ConnectionClosed: :meth:`close` was called, or it has failed to open.
            OverflowError: As many wait as may wait.
            TypeError: ``message`` is neither ``str`` nor octets.

        """
        if self._end is not None or self._failure is not None:
            raise ConnectionClosedError(None, None) from self._failure
        if isinstance(message, str):
            size = len(message.encode())
        elif isinstance(message, (bytes, bytearray, memoryview)):
            message = bytes(message)
            size = len(message)
        else:
            raise TypeError("only str and octets can wait for a WebSocket to open")
        if len(self._waiting) >= MAX_WAITING:
            raise OverflowError(f"{MAX_WAITING} messages wait to be sent already")
        if self._waiting_size + size > MAX_WAITING_SIZE:
            raise OverflowError(f"over {MAX_WAITING_SIZE} octets wait to be sent")
        self._waiting.append((message, text, compress))
        self._waiting_size += size

    # ---- events ----

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a callback; log what it raises."""
        callback = getattr(self, name)
        if callback is None:
            return None
        try:
            return callback(self, *arguments)
        except Exception as exc:
            self.logger.error("%s failed", name, exc_info=exc)
            return None

    def _ended(self, exc: BaseException) -> None:
        """Tell of the end, once."""
        if self._told:
            return
        self._told = True
        connection = self._connection
        self.close_code, self.close_reason = 1006, ""
        if connection is not None:
            self.close_code = connection.close_code or 1006
            self.close_reason = connection.close_reason or ""
        else:
            self._failure = exc
            self._waiting.clear()
            self._waiting_size = 0
        failure = why_it_failed(exc)
        if isinstance(failure, Exception):
            self._call("on_error", failure)
        self._call("on_close", self.close_code, self.close_reason)

    # ---- facts ----

    @property
    def connection(self) -> Any:
        """The connection below; None before it is open."""
        return self._connection

    @property
    def ready_state(self) -> int:
        """0 connecting, 1 open, 2 closing, 3 closed, as in the W3C's API."""
        if self._connection is not None:
            return int(self._connection.ready_state)
        return CLOSED if self._failure is not None else CONNECTING

    @property
    def protocol(self) -> str:
        """The subprotocol, empty if there is none."""
        return (self._connection and self._connection.subprotocol) or ""

    @property
    def extensions(self) -> list[Any]:
        """What was negotiated, where the server is not the one who does that."""
        return [] if self._connection is None else list(self._connection.extensions)

    @property
    def buffered_amount(self) -> int:
        """Octets that were sent and that the system has not taken yet."""
        if self._connection is None:
            return self._waiting_size
        return int(self._connection.buffered_amount)

    @property
    def status(self) -> int:
        """Status of the handshake's response; 0 before there is one."""
        response = self._find_response()
        return 0 if response is None else int(response.status_code)

    @property
    def headers(self) -> Any:
        """Header fields of the handshake's response; None before there is one."""
        response = self._find_response()
        return None if response is None else response.headers

    def _find_response(self) -> Any:
        if self._connection is not None:
            return getattr(self._connection, "response", None)
        return self._response or getattr(self._failure, "response", None)
