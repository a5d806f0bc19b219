"""
aiohttp 3: masking, and the frames that its writer makes.

Its reader is compiled already, masking included, and nothing here replaces it. For
compression aiohttp has a door of its own, ``aiohttp.set_zlib_backend(module)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from ..engine import encode_frame
from ._compiled import needs_c
from ._target import Name, Target, Versions

__all__ = ["TARGET"]

_OPCODES = frozenset((0, 1, 2, 8, 9, 10))
_RSV1 = 0x40


def _write_frame(original: Callable[..., None]) -> Callable[..., None]:
    """
    Return what takes the place of ``WebSocketWriter._write_websocket_frame``.

    Args:
        original: What writes everything but the frame of a client that is in order.

    """
    writer = import_module("aiohttp._websocket.writer")
    pack, reset = writer.PACK_RANDBITS, writer.ClientConnectionResetError

    def write(self: Any, message: Any, opcode: int, rsv: int) -> None:
        """Write a frame to the transport (RFC 6455 §5.2)."""
        if (
            not self.use_mask
            or rsv & ~_RSV1
            or opcode not in _OPCODES
            or (opcode >= 8 and (rsv or len(message) > 125))
            or type(message) not in (bytes, bytearray)
        ):
            return original(self, message, opcode, rsv)
        if self.transport.is_closing():
            raise reset("Cannot write to closing transport")
        key = pack(self.get_random_bits())
        frame = encode_frame(int(opcode), message, rsv1=rsv != 0, mask=key)
        self.transport.write(frame)
        self._output_size += len(frame)
        return None

    return write


def replacements() -> Sequence[Name]:
    """Return the names that are replaced."""
    needs_c("aiohttp")
    from ._octets import key_then_data_inplace

    helpers = import_module("aiohttp._websocket.helpers")
    writer = import_module("aiohttp._websocket.writer").WebSocketWriter
    mask = key_then_data_inplace(helpers.websocket_mask)
    write = _write_frame(vars(writer)["_write_websocket_frame"])
    return [
        Name("aiohttp._websocket.writer", "websocket_mask", mask),
        Name("aiohttp._websocket.reader_py", "websocket_mask", mask, optional=True),
        Name(
            "aiohttp._websocket.writer", "WebSocketWriter._write_websocket_frame", write
        ),
    ]


TARGET = Target(
    name="aiohttp",
    distribution="aiohttp",
    versions=Versions("3.13", "3.15"),
    contract=(
        "websocket_mask(mask, data) -> None, in place;"
        " WebSocketWriter._write_websocket_frame(message, opcode, rsv) -> None"
    ),
    replacements=replacements,
    also=("compression: call aiohttp.set_zlib_backend(zlib_ng.zlib_ng) as well",),
)
