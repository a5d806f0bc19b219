"""
Accelerates libraries when Python starts, as ``python -m wsfast accelerate`` asks for.

That command puts this folder on ``PYTHONPATH`` and the targets into the environment,
so that worker processes are accelerated as well as the program itself. A sitecustomize
that the program would have found otherwise is run too.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path


def _shadowed() -> None:
    """Run the sitecustomize that this one stands before."""
    here = Path(__file__).resolve().parent
    others = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


def _accelerate() -> None:
    """Accelerate what the environment names; say why where that fails."""
    names = os.environ.get("WSFAST_ACCELERATE", "").replace(",", " ").split()
    if not names:
        return
    try:
        from wsfast.accelerate import AccelerateError, accelerate
    except ImportError:  # another interpreter, which has no wsfast
        return
    for name in dict.fromkeys(names):
        try:
            accelerate(name)
        except AccelerateError as error:  # noqa: PERF203
            print(f"wsfast: not accelerated: {error}", file=sys.stderr)  # noqa: T201


_shadowed()
_accelerate()
