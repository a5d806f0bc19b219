"""Reading the arguments that every ``serve()`` and ``connect()`` has."""

from __future__ import annotations

from typing import Any

from .deflate import DeflateOptions
from .options import Options

__all__ = ["Compression", "MaxSize", "compression_of", "make_options"]

Compression = str | DeflateOptions | None
MaxSize = int | tuple[int | None, int | None] | None


def make_options(max_size: MaxSize, **limits: Any) -> Options:
    """
    Return the options of a connection.

    Args:
        max_size: Largest message, or a pair of that and the largest fragment.
        limits: The other arguments of :class:`Options`.

    Raises:
        ValueError: A limit makes no sense.

    """
    if isinstance(max_size, tuple):
        max_size, fragment = max_size
        if fragment is not None and (max_size is None or fragment < max_size):
            raise ValueError(
                "a fragment's limit below that of a message is not supported; "
                "max_fragments and max_queue_size bound what fragments cost"
            )
    return Options(max_size=max_size, **limits)


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
