"""What an accelerated library is to us: which names, of which versions, and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

__all__ = ["AccelerateError", "Entry", "Name", "Target", "Versions", "release"]


class AccelerateError(Exception):
    """An acceleration cannot be put in or taken out; the text says what to do."""


def release(version: str) -> tuple[int, ...]:
    """Return the numbers a version begins with: ``(1, 3, 2)`` of ``1.3.2rc1``."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


@dataclass(frozen=True)
class Versions:
    """
    The versions whose contract is known.

    Args:
        first: The oldest of them.
        below: The first that is not known any more.

    """

    first: str
    below: str

    def __contains__(self, version: str) -> bool:
        return release(self.first) <= release(version) < release(self.below)

    def __str__(self) -> str:
        return f">={self.first},<{self.below}"


@dataclass(frozen=True)
class Name:
    """
    A name to be replaced.

    Args:
        module: The module that binds it. It is imported.
        attribute: The name in that module; with dots for one of a class.
        value: What takes its place.
        optional: The module need not exist, nor be imported: where nobody has imported
            it yet, it is left alone.

    """

    module: str
    attribute: str
    value: Any
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"


@dataclass(frozen=True)
class Entry:
    """
    A module of ours that others find under another name, in ``sys.modules``.

    Args:
        module: The name they import.
        value: The module they get.

    """

    module: str
    value: ModuleType

    def __str__(self) -> str:
        return self.module


@dataclass(frozen=True)
class Target:
    """
    A library that can be accelerated.

    Args:
        name: What it is called here.
        distribution: What it is called by installers; None if nothing needs to be
            installed.
        versions: The versions whose contract is known.
        contract: What the names replaced do, in one sentence.
        replacements: Returns what is replaced. It may import the library; nothing else
            of the target's module does.
        users: Modules that bind our names when they are imported. Those imported
            before keep what they have, and the report says so.
        also: What else there is to say about it.

    """

    name: str
    distribution: str | None
    versions: Versions | None
    contract: str
    replacements: Callable[[], Sequence[Name | Entry]]
    users: tuple[str, ...] = ()
    also: tuple[str, ...] = field(default=())
