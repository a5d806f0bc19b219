"""
websockets 17: masking, and the frames of its protocol without I/O.

`Frame.parse` takes four generators for each frame, and `Frame.serialize` a stream in
memory. Here a frame that is whole and in order is taken from the reader's buffer in one
step; every other one, and every error, is left to the original.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from typing import Any

from ..engine import encode_frame
from ._compiled import needs_c
from ._target import Name, Target, Versions

__all__ = ["TARGET"]

_FIN = 0x80
_RSV1 = 0x40


def _parse(original: Callable[..., Generator[None, None, Any]]) -> Any:
    """
    Return what takes the place of ``Frame.parse``.

    Args:
        original: The function under that classmethod.

    """
    from ._octets import FrameTaker

    opcodes = {int(opcode): opcode for opcode in _frames().Opcode}
    reader_type = import_module("websockets.streams").StreamReader
    take_masked = FrameTaker(True, bytearray).take
    take_plain = FrameTaker(False, bytearray).take

    def parse(
        cls: Any,
        read_exact: Any,
        *,
        mask: bool,
        max_size: int | None = None,
        extensions: Sequence[Any] | None = None,
    ) -> Generator[None, None, Any]:
        """Parse a WebSocket frame (RFC 6455 §5.2)."""
        reader: Any = getattr(read_exact, "__self__", None)
        if type(reader) is reader_type:
            take = take_masked if mask else take_plain
            while True:
                taken = take(reader.buffer, max_size)
                if type(taken) is tuple:
                    first, data = taken
                    opcode = opcodes[first & 0x0F]
                    frame = cls(opcode, data, first >= _FIN, first & _RSV1 != 0)
                    if extensions:
                        for extension in reversed(extensions):
                            frame = extension.decode(frame, max_size=max_size)
                    if extensions or first & _RSV1:
                        frame.check()  # the rest of its rules hold already
                    return frame
                if taken is None or reader.eof:
                    break
                yield
        return (
            yield from original(
                cls, read_exact, mask=mask, max_size=max_size, extensions=extensions
            )
        )

    return classmethod(parse)


def _serialize(original: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return what takes the place of ``Frame.serialize``, which is ``original``."""
    known = import_module("websockets.extensions.permessage_deflate").PerMessageDeflate
    opcode_type = _frames().Opcode

    def serialize(
        self: Any, *, mask: bool, extensions: Sequence[Any] | None = None
    ) -> bytes:
        """Serialize a WebSocket frame (RFC 6455 §5.2)."""
        data = self.data
        if (
            (type(data) is not bytes and type(data) is not bytearray)
            or type(self.opcode) is not opcode_type
            or (extensions and any(type(each) is not known for each in extensions))
        ):
            return original(self, mask=mask, extensions=extensions)
        self.check()
        if extensions:
            for extension in extensions:
                self = extension.encode(self)
        return encode_frame(
            self.opcode,
            self.data,
            fin=self.fin,
            rsv1=self.rsv1,
            mask=secrets.token_bytes(4) if mask else False,
        )

    return serialize


def _frames() -> Any:
    return import_module("websockets.frames")


def replacements() -> Sequence[Name]:
    """Return the names that are replaced."""
    needs_c("websockets")
    from ._octets import data_then_key

    frames = _frames()
    apply_mask = data_then_key(frames.apply_mask)
    frame = vars(frames.Frame)
    return [
        Name("websockets.frames", "apply_mask", apply_mask),
        Name("websockets.legacy.framing", "apply_mask", apply_mask, optional=True),
        Name("websockets.frames", "Frame.parse", _parse(frame["parse"].__func__)),
        Name("websockets.frames", "Frame.serialize", _serialize(frame["serialize"])),
    ]


TARGET = Target(
    name="websockets",
    distribution="websockets",
    versions=Versions("17.0", "18"),
    contract=(
        "apply_mask(data, mask) -> bytes; Frame.parse, a generator over the octets of a"
        " StreamReader; Frame.serialize -> bytes"
    ),
    replacements=replacements,
)
