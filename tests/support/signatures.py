"""Signatures of ours held against those of another library."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection
from typing import Any


def named(path: str) -> Any:
    """Return what a path such as ``websockets.sync.client:connect`` names."""
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found


def check_parameters(
    have: dict[str, inspect.Parameter],
    theirs: Any,
    other_defaults: Collection[str],
    without: Collection[str] = (),
) -> None:
    """
    Check that all of another function's parameters are there, with its defaults.

    Args:
        have: Our parameters, and those of what ``**kwargs`` are passed on to.
        theirs: The other function.
        other_defaults: Those whose default is another one.
        without: Those that we have not.

    """
    for parameter in inspect.signature(theirs).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if parameter.name in without:
            continue
        assert parameter.name in have, parameter.name
        if parameter.name not in other_defaults:
            assert have[parameter.name].default == parameter.default, parameter.name


def public_members(found: type) -> set[str]:
    """Return the members of a class that do not begin with an underscore."""
    return {member for member in dir(found) if not member.startswith("_")}
