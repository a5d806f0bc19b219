"""What the modules here are for: which releases of it, and what to do without one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

__all__ = ["need"]


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


@contextmanager
def need(user: str, distribution: str, first: str, below: str = "") -> Iterator[None]:
    """
    Import a library in the block; without a release that is known, say what to do.

    Args:
        user: The module that needs it.
        distribution: What the library is called by installers.
        first: The oldest release that will do.
        below: The first that is not known any more, if its inner parts are used.

    Raises:
        ModuleNotFoundError: It is not installed.
        ImportError: The release is another, or cannot be imported.

    """
    wanted = f"{distribution}>={first}" + (f",<{below}" if below else "")
    advice = f"install one by: python -m pip install '{wanted}'"
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        text = f"{user} needs {distribution}, which is not installed; {advice}"
        raise ModuleNotFoundError(text, name=distribution) from None
    known = _release(version) >= _release(first)
    if not known or (below and _release(version) >= _release(below)):
        text = f"{user} is for {wanted}, and {version} is installed; {advice}"
        raise ImportError(text, name=distribution)
    try:
        yield
    except ImportError as exc:
        text = f"{user} cannot import {distribution} {version}: {exc}; {advice}"
        raise ImportError(text, name=distribution) from exc
