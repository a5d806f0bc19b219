"""autobahn: maskers and UTF-8 validator of its WebSocket protocol, and so Daphne's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._target import Name, Target, Versions
from .primitives import Utf8Validator, XorMaskerNull, XorMaskerSimple

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["TARGET", "create_xor_masker"]


def create_xor_masker(mask: Buffer, length: int | None = None) -> XorMaskerSimple:
    """
    Return a masker.

    Args:
        mask: Masking-key, 4 octets.
        length: Octets to be masked; of no consequence.

    Raises:
        AssertionError: ``mask`` is not 4 octets long.

    """
    try:
        return XorMaskerSimple(mask)
    except ValueError as error:
        raise AssertionError("Mask must be exactly 4 bytes") from error


def replacements() -> Sequence[Name]:
    """Return the names of the protocol's module, and of those they come from."""
    return [
        Name("autobahn.websocket.protocol", "create_xor_masker", create_xor_masker),
        Name("autobahn.websocket.protocol", "XorMaskerNull", XorMaskerNull),
        Name("autobahn.websocket.protocol", "Utf8Validator", Utf8Validator),
        Name("autobahn.websocket.xormasker", "create_xor_masker", create_xor_masker),
        Name("autobahn.websocket.xormasker", "XorMaskerNull", XorMaskerNull),
        Name("autobahn.websocket.utf8validator", "Utf8Validator", Utf8Validator),
    ]


TARGET = Target(
    name="autobahn",
    distribution="autobahn",
    versions=Versions("26.1", "27"),
    contract="masks payloads in pieces, validates UTF-8 in pieces",
    replacements=replacements,
)
