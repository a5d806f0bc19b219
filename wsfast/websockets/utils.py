"""Small functions, where the websockets library has them."""

from __future__ import annotations

from .. import engine
from ..protocol import server

__all__ = ["accept_key", "apply_mask"]


def accept_key(key: str) -> str:
    """
    Return the answer to a key (RFC 6455 §4.2.2).

    Args:
        key: Value of Sec-WebSocket-Key.

    """
    return server.accept_key(key.encode()).decode()


def apply_mask(data: bytes | bytearray | memoryview, mask: bytes | bytearray) -> bytes:
    """
    Mask or unmask payload data (RFC 6455 §5.3).

    Args:
        data: Payload octets.
        mask: Masking-key, 4 octets.

    Raises:
        ValueError: ``mask`` is not 4 octets long.

    """
    if len(mask) != 4:
        raise ValueError("mask must contain 4 bytes")
    return engine.mask(data, mask)
