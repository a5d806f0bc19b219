"""Reading the arguments that every ``serve()`` and ``connect()`` has."""

from __future__ import annotations

from .deflate import DeflateOptions

__all__ = ["Compression", "MaxSize", "compression_of"]

Compression = str | DeflateOptions | None
MaxSize = int | tuple[int | None, int | None] | None


def compression_of(compression: Compression) -> DeflateOptions | None:
    """
    Return what the ``compression`` argument stands for.

    Raises:
        ValueError: It is not one that there is.

    """
    if compression == "deflate":
        return DeflateOptions()
    if compression is None or isinstance(compression, DeflateOptions):
        return compression
    raise ValueError(f"unsupported compression: {compression}")
