"""What the tests of several targets share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import wsfast
from wsfast.accelerate import undo


@contextlib.contextmanager
def plugged(name: str) -> Iterator[None]:
    """Accelerate a target for a while."""
    wsfast.accelerate(name)
    try:
        yield
    finally:
        undo(name)


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a call returns, and its type; or what it raises, and its text."""
    try:
        value = function(*args, **kwargs)
    except Exception as exc:
        return type(exc), str(exc)
    return type(value), value


def named(value: object) -> str:
    """Name a value in a test's name, the same in every process."""
    if isinstance(value, memoryview):
        return f"memoryview({value.tolist()!r})"
    return repr(value)
