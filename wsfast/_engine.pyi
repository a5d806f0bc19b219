"""
Types of the engine's primitives: of `wsfast._engine` and of `wsfast._pure` alike.

What each function does is documented in `wsfast._pure`.
"""

from typing import Final, final

from typing_extensions import Buffer

KERNEL: Final[str]
KERNELS: Final[tuple[str, ...]]

def mask(data: Buffer, key: Buffer, offset: int = 0) -> bytes: ...
def mask_into(
    src: Buffer,
    key: Buffer,
    dst: Buffer,
    dst_offset: int = 0,
    n: int | None = None,
    offset: int = 0,
) -> None: ...
def unmask_inplace(buffer: Buffer, key: Buffer, offset: int = 0) -> None: ...
def is_valid_utf8(data: Buffer) -> bool: ...
def decode_utf8(data: Buffer) -> str: ...
def encode_header(
    opcode: int,
    length: int,
    *,
    fin: bool = True,
    rsv1: bool = False,
    key: Buffer | None = None,
) -> bytes: ...
def encode_frame(
    opcode: int,
    payload: Buffer | str,
    *,
    fin: bool = True,
    rsv1: bool = False,
    mask: bool | Buffer = False,
) -> bytes: ...
def masking_key() -> bytes: ...

@final
class Utf8Validator:
    def __init__(self) -> None: ...
    def reset(self) -> None: ...
    def validate(self, data: Buffer) -> tuple[bool, bool, int, int]: ...
