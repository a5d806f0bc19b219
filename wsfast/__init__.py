"""
A fast and strict WebSocket engine.

What most programs need is here: ``connect``, ``serve``, ``Listener``, the exceptions,
and the functions of ``wsfast.engine``. Each is imported when it is first used, so that
``import wsfast`` alone costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._sources import pure_wanted, use_sources
from .version import version as __version__

if pure_wanted():
    use_sources()

if TYPE_CHECKING:
    from ._include import get_include
    from .accelerate import this as accelerate
    from .asyncio import (
        ClientConnection,
        Connection,
        Listener,
        Prepared,
        Reconnecting,
        ReconnectingThread,
        Server,
        ServerConnection,
        basic_auth,
        broadcast,
        connect,
        serve,
        unix_connect,
        unix_serve,
    )
    from .attach import SyncWebSocket, WebSocket, is_websocket
    from .engine import (
        Event,
        EventError,
        EventParser,
        FrameParser,
        FrameWriter,
        MessageParser,
        Utf8Validator,
        decode_utf8,
        encode_event,
        encode_frame,
        encode_header,
        is_valid_utf8,
        mask,
        mask_into,
        unmask_inplace,
    )
    from .eventsource import EventSource, EventSourceClient
    from .exceptions import (
        ConcurrencyError,
        ConnectionClosed,
        ConnectionClosedError,
        ConnectionClosedOK,
        HandshakeError,
        HandshakeTimeout,
        InvalidHandshake,
        InvalidPayload,
        InvalidStatus,
        InvalidURI,
        PayloadTooBig,
        PolicyViolation,
        ProtocolError,
        SlowConsumer,
        WebSocketException,
    )
    from .protocol.closing import Close, CloseCode, Opcode, State
    from .protocol.deflate import DeflateOptions
    from .protocol.headers import Headers
    from .protocol.heads import Limits
    from .protocol.http import Request, Response

__all__ = [
    "ClientConnection",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "Connection",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "DeflateOptions",
    "Event",
    "EventError",
    "EventParser",
    "EventSource",
    "EventSourceClient",
    "FrameParser",
    "FrameWriter",
    "HandshakeError",
    "HandshakeTimeout",
    "Headers",
    "InvalidHandshake",
    "InvalidPayload",
    "InvalidStatus",
    "InvalidURI",
    "Limits",
    "Listener",
    "MessageParser",
    "Opcode",
    "PayloadTooBig",
    "PolicyViolation",
    "Prepared",
    "ProtocolError",
    "Reconnecting",
    "ReconnectingThread",
    "Request",
    "Response",
    "Server",
    "ServerConnection",
    "SlowConsumer",
    "State",
    "SyncWebSocket",
    "Utf8Validator",
    "WebSocket",
    "WebSocketException",
    "__version__",
    "accelerate",
    "basic_auth",
    "broadcast",
    "connect",
    "decode_utf8",
    "encode_event",
    "encode_frame",
    "encode_header",
    "get_include",
    "is_valid_utf8",
    "is_websocket",
    "mask",
    "mask_into",
    "serve",
    "unix_connect",
    "unix_serve",
    "unmask_inplace",
]

_HOMES = {
    "_include": "get_include",
    "asyncio": "ClientConnection Connection Listener Prepared Reconnecting "
    "ReconnectingThread Server ServerConnection basic_auth broadcast connect serve "
    "unix_connect unix_serve",
    "attach": "SyncWebSocket WebSocket is_websocket",
    "engine": "Event EventError EventParser FrameParser FrameWriter MessageParser "
    "Utf8Validator decode_utf8 encode_event encode_frame encode_header is_valid_utf8 "
    "mask mask_into unmask_inplace",
    "eventsource": "EventSource EventSourceClient",
    "exceptions": "ConcurrencyError ConnectionClosed ConnectionClosedError "
    "ConnectionClosedOK HandshakeError HandshakeTimeout InvalidHandshake "
    "InvalidPayload InvalidStatus InvalidURI PayloadTooBig PolicyViolation "
    "ProtocolError SlowConsumer WebSocketException",
    "protocol": "Close CloseCode DeflateOptions Headers Limits Opcode Request Response "
    "State",
}
#: A module that can be called; the import itself binds the name.
_CALLABLE = "accelerate"
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == _CALLABLE:
        return import_module(f"{__name__}.{name}")
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
