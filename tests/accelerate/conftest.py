"""What the tests of accelerations share: each of them leaves everything as it was."""

from __future__ import annotations

import importlib
import os

import pytest

from wsfast.accelerate import accelerated, undo

PURE = (
    os.environ.get("WSFAST_PURE", "") not in ("", "0")
    or os.environ.get("WSFAST_KERNEL") == "python"
)


@pytest.fixture(autouse=True)
def undone():
    """Undo what a test has accelerated."""
    assert not accelerated()
    yield
    if accelerated():
        undo()


@pytest.fixture(scope="session", params=["python"] if PURE else ["c", "python"])
def primitives(request):
    """Return the module of maskers and validators, in C and in pure Python."""
    name = "_primitives" if request.param == "c" else "_pure_primitives"
    return importlib.import_module(f"wsfast.accelerate.{name}")
