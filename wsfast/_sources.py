"""
Pure Python on request, in an installation that has compiled modules.

Some modules are compiled from the same sources that run uncompiled, and the compiled
ones only work together with the C engine. With ``WSFAST_PURE=1`` all of them have to
come from their sources, although the import system prefers a compiled module beside its
source.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

__all__ = ["pure_wanted", "use_sources"]


def pure_wanted() -> bool:
    """Tell whether the environment asks for pure Python."""
    return (
        os.environ.get("WSFAST_PURE", "") not in ("", "0")
        or os.environ.get("WSFAST_KERNEL") == "python"
    )


class _Sources(MetaPathFinder):
    """Finds the modules of this package by their sources only."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if package.partition(".")[0] == __package__:
            for folder in path or ():
                source = Path(folder, f"{name}.py")
                if source.is_file():
                    return spec_from_file_location(fullname, source)
                if Path(folder, name).is_dir():
                    return None
            raise ModuleNotFoundError(f"{fullname} is compiled", name=fullname)
        return None


def use_sources() -> None:
    """Import modules of this package from their sources, from now on."""
    sys.meta_path.insert(0, _Sources())
