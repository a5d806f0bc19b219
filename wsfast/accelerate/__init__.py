"""
Make other people's WebSocket libraries faster, without a change to them.

``wsfast.accelerate("wsproto")`` replaces the slow parts of a library by those of this
engine, and ``wsfast.accelerate.undo("wsproto")`` gives them back. Nothing is replaced
unless it is asked for, and only in versions whose contract is known. This package is a
module that can be called, so that both spellings above work.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from ._install import accelerate, accelerated, known, undo
from ._report import Accelerated, Report
from ._target import AccelerateError, Target

__all__ = [
    "AccelerateError",
    "Accelerated",
    "Report",
    "Target",
    "accelerate",
    "accelerated",
    "known",
    "undo",
]


class Accelerate(ModuleType):
    """A module that does, when it is called, what its name says."""

    if TYPE_CHECKING:  # what checkers of types see of it as ``wsfast.accelerate``
        AccelerateError = AccelerateError
        accelerate = staticmethod(accelerate)
        accelerated = staticmethod(accelerated)
        known = staticmethod(known)
        undo = staticmethod(undo)

    def __call__(self, *names: str) -> Report:
        return accelerate(*names)


sys.modules[__name__].__class__ = Accelerate

if TYPE_CHECKING:
    this: Accelerate
