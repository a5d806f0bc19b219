"""gevent-websocket: unmasking of every frame, and UTF-8 of text messages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from wsfast.engine import unmask_inplace

from ._target import Name, Target, Versions
from .primitives import Utf8Validator

__all__ = ["TARGET"]


def replacements() -> Sequence[Name]:
    """Return the two methods of headers, and the two places of the validator."""
    header = import_module("geventwebsocket.websocket").Header
    original = header.mask_payload

    def mask_payload(self: Any, payload: Any) -> bytearray:
        """
        Mask or unmask a payload with the header's masking-key (RFC 6455 §5.3).

        Returns:
            A bytearray; of what goes beyond the header's length, octets as they are.

        """
        masked = bytearray(payload)
        if len(masked) != self.length or len(self.mask) != 4:
            masked = original(self, payload)  # what a peer cannot bring about
        else:
            unmask_inplace(masked, self.mask)
        return masked

    return [
        Name("geventwebsocket.websocket", "Header.mask_payload", mask_payload),
        Name("geventwebsocket.websocket", "Header.unmask_payload", mask_payload),
        Name("geventwebsocket.websocket", "Utf8Validator", Utf8Validator),
        Name("geventwebsocket.utf8validator", "Utf8Validator", Utf8Validator),
    ]


TARGET = Target(
    name="gevent-websocket",
    distribution="gevent-websocket",
    versions=Versions("0.10", "0.11"),
    contract="unmasks payloads, validates UTF-8 in pieces",
    replacements=replacements,
)
