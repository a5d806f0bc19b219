"""Limits as options: numbers, or None for none."""

from __future__ import annotations

import math

__all__ = ["limits"]


def limits(least: int, **options: int | None) -> list[float]:
    """
    Return limits as numbers to compare with.

    Args:
        least: What makes sense at least.
        options: Limits by the names of their options.

    Raises:
        ValueError: One makes no sense.

    """
    for name, limit in options.items():
        if limit is not None and limit < least:
            raise ValueError(f"{name} must be at least {least}, got {limit}")
    return [math.inf if limit is None else limit for limit in options.values()]
