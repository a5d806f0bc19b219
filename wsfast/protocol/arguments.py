"""Reading the arguments that every ``serve()`` and ``connect()`` has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from .deflate import DeflateOptions

__all__ = ["Compression", "MaxSize", "compression_of", "takes"]

Compression = str | DeflateOptions | None
MaxSize = int | tuple[int | None, int | None] | None

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


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


def takes(
    other: Callable[Arguments, Any],
) -> Callable[[Callable[..., Result]], Callable[Arguments, Result]]:
    """
    Give a function that passes its arguments on the signature of the one it calls.

    Args:
        other: What gets the arguments.

    """

    def passing(function: Callable[..., Result]) -> Callable[Arguments, Result]:
        signature = inspect.signature(other)
        function.__signature__ = signature  # type: ignore[attr-defined]
        return function

    return passing
