"""What a server says to clients that it refuses, in whichever way it serves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..exceptions import HandshakeTimeout, InvalidHandshake
from .http import Request, Response

__all__ = [
    "FAILED",
    "FULL",
    "NO_WEBSOCKET",
    "SHUTTING_DOWN",
    "TIMED_OUT",
    "TOO_MANY_CONNECTIONS",
    "TOO_MANY_HANDSHAKES",
    "HandshakeErrorHook",
    "ask_about",
    "checked",
    "name_of",
    "refused",
    "timed_out",
]

NO_WEBSOCKET: Final = "There is no WebSocket here.\n"
TIMED_OUT: Final = "The opening handshake timed out.\n"
TOO_MANY_CONNECTIONS: Final = "There are too many connections.\n"
TOO_MANY_HANDSHAKES: Final = "There are too many opening handshakes.\n"
FULL: Final = "There is too much to do.\n"
SHUTTING_DOWN: Final = "The server is shutting down.\n"
FAILED: Final = (
    "Failed to open a WebSocket connection.\nSee server log for more information.\n"
)

HandshakeErrorHook = Callable[[Exception, "Request | None"], "Response | None"]


def refused(status: int, text: str) -> InvalidHandshake:
    """Return the error that stands for a refusal of ours."""
    error = InvalidHandshake(text.rstrip())
    error.code = status
    return error


def timed_out(status: int = 408) -> HandshakeTimeout:
    """Return the error of a handshake that took too long."""
    error = HandshakeTimeout("timed out during opening handshake")
    error.code = status
    return error


def ask_about(
    hook: HandshakeErrorHook | None,
    error: Exception,
    request: Request | None,
    response: Response,
    logger: Any,
) -> Response:
    """
    Have ``on_handshake_error`` replace a response that refuses, if it wants.

    Args:
        hook: That function of the application's, or None.
        error: Why the client is refused.
        request: Its request, None where that could not be read.
        response: What it is answered otherwise.
        logger: Where to log what the hook raises.

    """
    if hook is None:
        return response
    try:
        other = checked(hook(error, request))
        if other is not None and not 300 <= other.status_code < 600:
            raise ValueError(f"status {other.status_code} does not refuse a client")
        if other is not None:
            other.serialize()  # or nothing would be answered
    except Exception as exc:
        logger.error("%s failed", name_of(hook), exc_info=exc)
        return response
    return response if other is None else other


def checked(response: Any) -> Response | None:
    """
    Return what a hook has returned.

    Raises:
        TypeError: It is neither a response nor None.

    """
    if response is None or isinstance(response, Response):
        return response
    raise TypeError(f"not a Response: {response!r}")


def name_of(hook: Callable[..., Any]) -> str:
    """Return what to call a hook in the log."""
    return getattr(hook, "__name__", type(hook).__name__)
