"""
tornado 6: the WebSocket protocol of servers and clients, and masking.

``tornado.websocket.WebSocketProtocol13`` is what both sides make their connections of.
`FastWebSocket` brings the same protocol into one handler, without replacing anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from ._compiled import needs_c
from ._target import Name, Target, Versions

__all__ = ["TARGET", "FastWebSocket"]

_made: list[type] = []


class FastWebSocket:
    """
    Mixin that gives one tornado handler the faster protocol, without ``accelerate()``.

    To be named before ``tornado.websocket.WebSocketHandler`` among the base classes.
    """

    def get_websocket_protocol(self) -> Any:
        """Return the protocol of a new connection, None for a version not known."""
        websocket = import_module("tornado.websocket")
        protocol = super().get_websocket_protocol()  # type: ignore[misc]
        if type(protocol) is not websocket.WebSocketProtocol13 or _is_fast(protocol):
            return protocol
        return _protocol()(self, protocol.mask_outgoing, protocol.params)


def _is_fast(protocol: Any) -> bool:
    return bool(_made) and isinstance(protocol, _made[0])


def _protocol() -> Any:
    """Return the faster protocol; there is one class, made when it is first asked."""
    if not _made:
        from ._tornado_protocol import make_protocol

        websocket = import_module("tornado.websocket")
        _made.append(make_protocol(websocket, websocket.WebSocketProtocol13))
    return _made[0]


def replacements() -> Sequence[Name]:
    """Return the names that are replaced."""
    needs_c("tornado")
    from ._octets import key_then_data

    mask = key_then_data(import_module("tornado.util")._websocket_mask)
    return [
        Name("tornado.util", "_websocket_mask", mask),
        Name("tornado.websocket", "_websocket_mask", mask),
        Name("tornado.web", "_websocket_mask", mask),
        Name("tornado.websocket", "WebSocketProtocol13", _protocol()),
    ]


TARGET = Target(
    name="tornado",
    distribution="tornado",
    versions=Versions("6.5", "6.7"),
    contract=(
        "_websocket_mask(mask, data) -> bytes; WebSocketProtocol13(handler,"
        " mask_outgoing, params), of which one method receives a frame, one writes one,"
        " and one a message"
    ),
    replacements=replacements,
)
