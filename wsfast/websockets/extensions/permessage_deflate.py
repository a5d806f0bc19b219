"""Compression (RFC 7692), where the websockets library has it."""

from ...protocol.deflate import Deflate as PerMessageDeflate
from ...protocol.extensions import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

__all__ = [
    "ClientPerMessageDeflateFactory",
    "PerMessageDeflate",
    "ServerPerMessageDeflateFactory",
]
