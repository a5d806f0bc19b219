"""The packet codec that this process runs: C where the engine is C, else its twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine import KERNEL

if TYPE_CHECKING or KERNEL != "python":
    from ._codec import (
        decode_header,
        deconstruct,
        encode_header,
        nesting,
        reconstruct,
    )
else:
    from ._pure_codec import (
        decode_header,
        deconstruct,
        encode_header,
        nesting,
        reconstruct,
    )

__all__ = ["decode_header", "deconstruct", "encode_header", "nesting", "reconstruct"]
