"""
websocket-client: masking of every frame, and UTF-8 of text messages and close reasons.

Its own check takes a text that ends inside a character for valid; ours does not, which
is the one difference (RFC 6455 §5.6, §8.1).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wsfast.engine import is_valid_utf8, mask

from ._target import Name, Target, Versions

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["TARGET"]


def _mask(mask_value: Buffer, data_value: Buffer) -> bytes:
    """Mask or unmask a payload: `wsfast.engine.mask`, its arguments swapped."""
    return mask(data_value, mask_value)


def abnf_mask(mask_key: Any, data: Any) -> bytes:
    """
    Mask or unmask a payload (RFC 6455 §5.3).

    Args:
        mask_key: Masking-key, 4 octets. Text stands for its Latin-1 octets, and what
            is no buffer for what `array.array` makes of it.
        data: Payload, the same; None for an empty one.

    Raises:
        ValueError: ``mask_key`` is not 4 octets long.

    """
    if data is None:
        data = b""
    if isinstance(mask_key, str):
        mask_key = mask_key.encode("latin-1")
    if isinstance(data, str):
        data = data.encode("latin-1")
    try:
        return mask(data, mask_key)
    except (TypeError, BufferError):
        return mask(array("B", data), array("B", mask_key))


def replacements() -> Sequence[Name]:
    """Return the masking functions, and the two places that check UTF-8."""
    return [
        Name("websocket._abnf", "_mask", _mask),
        Name("websocket._abnf", "ABNF.mask", staticmethod(abnf_mask)),
        Name("websocket._abnf", "validate_utf8", is_valid_utf8),
        Name("websocket._utils", "validate_utf8", is_valid_utf8),
    ]


TARGET = Target(
    name="websocket-client",
    distribution="websocket-client",
    versions=Versions("1.9", "1.10"),
    contract="masks payloads, tells whether octets are UTF-8",
    replacements=replacements,
    also=("text that ends inside a character is refused, as RFC 6455 §8.1 wants it",),
)
