"""
Maskers and a UTF-8 validator with the interface of wsaccel.

From C where the engine is C, from pure Python where it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsfast.engine import KERNEL

if TYPE_CHECKING or KERNEL != "python":
    from ._primitives import (
        ByteArrayMasker,
        Utf8Validator,
        XorMaskerSimple,
        frame_array,
        unmask_part,
        unmask_text,
    )
else:
    from ._pure_primitives import (
        ByteArrayMasker,
        Utf8Validator,
        XorMaskerSimple,
        frame_array,
        unmask_part,
        unmask_text,
    )

__all__ = [
    "ByteArrayMasker",
    "Utf8Validator",
    "XorMaskerNull",
    "XorMaskerSimple",
    "frame_array",
    "unmask_part",
    "unmask_text",
]


class XorMaskerNull:
    """
    A masker that masks nothing, for frames without a masking-key.

    Args:
        mask: Ignored; there for the likeness.

    """

    __slots__ = ("_done",)

    def __init__(self, mask: object = None) -> None:
        self._done = 0

    def pointer(self) -> int:
        """Return how many octets went through since the start."""
        return self._done

    def reset(self) -> None:
        """Begin a new payload."""
        self._done = 0

    def process(self, data: bytes) -> bytes:
        """Return the next octets of the payload as they are, the very same object."""
        self._done += len(data)
        return data
