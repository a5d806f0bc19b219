"""Every test of this folder runs on the C engine, then on the pure Python one."""

from __future__ import annotations

import os

import pytest

from tests.engine.engines import load

PURE = (  # a build without C, or the wish to leave it alone
    os.environ.get("WSFAST_PURE", "") not in ("", "0")
    or os.environ.get("WSFAST_KERNEL") == "python"
)


@pytest.fixture(scope="session", params=["python"] if PURE else ["c", "python"])
def engine(request):
    """Return an engine: a namespace with all names of ``wsfast.engine``."""
    return load(request.param)


@pytest.fixture(scope="session")
def engines():
    """Return both engines, to compare what they do."""
    names = ["python", "python"] if PURE else ["c", "python"]
    return [load(name) for name in names]
