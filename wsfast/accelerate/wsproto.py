"""
wsproto: the whole of its frame protocol, and so whatever speaks through wsproto.

Hypercorn, uvicorn with ``--ws wsproto``, simple-websocket (Flask-Sock) and
trio-websocket do.
"""

from __future__ import annotations

from collections.abc import Sequence

from ._target import Name, Target, Versions

__all__ = ["TARGET"]


def replacements() -> Sequence[Name]:
    """Return the frame protocol where it is defined and where it is used."""
    from ._wsproto import FrameProtocol
    from .primitives import ByteArrayMasker

    return [
        Name("wsproto.frame_protocol", "FrameProtocol", FrameProtocol),
        Name("wsproto.connection", "FrameProtocol", FrameProtocol),
        Name("wsproto.frame_protocol", "XorMaskerSimple", ByteArrayMasker),
    ]


TARGET = Target(
    name="wsproto",
    distribution="wsproto",
    versions=Versions("1.3", "1.4"),
    contract="frames to octets and back, as wsproto's FrameProtocol does it",
    replacements=replacements,
)
