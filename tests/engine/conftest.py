"""
Every test of this folder runs on the C engine, then on the pure Python one.

Under AddressSanitizer on the former alone: the other has nothing that was compiled.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests.engine.engines import load
from tests.support.sanitizer import UNDER_ASAN

PURE = (  # a build without C, or the wish to leave it alone
    os.environ.get("WSFAST_PURE", "") not in ("", "0")
    or os.environ.get("WSFAST_KERNEL") == "python"
)
ENGINES = ["python"] if PURE else ["c"] if UNDER_ASAN else ["c", "python"]

settings.register_profile("few", max_examples=20, deadline=None)  # for test_levels.py


@pytest.fixture(scope="session", params=ENGINES)
def engine(request):
    """Return an engine: a namespace with all names of ``wsfast.engine``."""
    return load(request.param)


@pytest.fixture(scope="session")
def engines():
    """Return both engines, to compare what they do."""
    names = ["python", "python"] if PURE else ["c", "python"]
    return [load(name) for name in names]
