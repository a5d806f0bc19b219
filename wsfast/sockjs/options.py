"""What a server of SockJS is told, in one place for all of its sessions."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..asgi.exchange import Allowed, Exchange

if TYPE_CHECKING:
    from .session import Session

__all__ = ["TRANSPORTS", "Handler", "JSessionID", "Options", "checked_transports"]

#: Names of all transports, as sockjs-node and sockjs-client have them.
TRANSPORTS = (
    "websocket",
    "websocket-raw",
    "xhr-streaming",
    "xhr-polling",
    "eventsource",
    "htmlfile",
    "jsonp-polling",
)

#: Calls back a function of a page's choice with what the page's user may see: a page of
#: any origin reads it. Off unless it is asked for.
UNSAFE = ("jsonp-polling",)

Handler = Callable[["Session"], Awaitable[object]]
JSessionID = bool | Callable[[Exchange, list[tuple[str, str]]], object]
Overflow = Literal["close", "drop", "wait"]


@dataclass(frozen=True)
class Options:
    """The arguments of :class:`~wsfast.sockjs.SockJS`, checked."""

    handler: Handler
    prefix: str
    sockjs_url: str
    response_limit: int
    transports: frozenset[str]
    jsessionid: JSessionID
    heartbeat_delay: float
    disconnect_delay: float
    cors: Allowed
    base_url: str | Callable[[], str] | None
    max_size: int
    max_queue: int
    max_sessions: int
    write_limit: int
    max_send_buffer: int | None
    overflow: Overflow
    send_timeout: float | None
    logger: Any

    def __post_init__(self) -> None:
        if self.prefix and (self.prefix[0] != "/" or self.prefix[-1] == "/"):
            raise ValueError(
                f"prefix must begin with a slash and not end with one: {self.prefix!r}"
            )
        for name in ("response_limit", "max_queue", "max_sessions", "max_size"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("heartbeat_delay", "disconnect_delay"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if self.overflow not in ("close", "drop", "wait"):
            raise ValueError(
                f"overflow must be close, drop or wait, got {self.overflow!r}"
            )


def checked_transports(names: Iterable[str] | None, websocket: bool) -> frozenset[str]:
    """
    Return the names of the transports that are on.

    Args:
        names: Those wanted; None for all but the unsafe.
        websocket: False to do without WebSocket all the same.

    Raises:
        ValueError: There is no such transport.

    """
    if isinstance(names, str):
        names = (names,)
    wanted = set(TRANSPORTS).difference(UNSAFE) if names is None else set(names)
    unknown = wanted.difference(TRANSPORTS)
    if unknown:
        raise ValueError(
            f"no such transport: {', '.join(sorted(unknown))}; "
            f"there are {', '.join(TRANSPORTS)}"
        )
    if not websocket:
        wanted -= {"websocket", "websocket-raw"}
    return frozenset(wanted)


def default_logger(logger: Any) -> Any:
    """Return the logger to use."""
    return logging.getLogger("wsfast.sockjs") if logger is None else logger
