"""What only the C engine makes faster is refused without it."""

from __future__ import annotations

from ..engine import KERNEL
from ._target import AccelerateError

__all__ = ["needs_c"]


def needs_c(name: str) -> None:
    """
    Refuse a target for which pure Python has nothing to offer.

    Args:
        name: The target.

    Raises:
        AccelerateError: This wsfast runs in pure Python.

    """
    if KERNEL == "python":
        raise AccelerateError(
            f"{name} becomes faster by the C engine only, and this wsfast runs in pure"
            " Python: install a wheel, or build it with a C compiler, and leave"
            " WSFAST_PURE and WSFAST_KERNEL=python out"
        )
