"""
Every micro benchmark runs on the C engine, on the pure Python one, and on its peers.

What is not installed is skipped by name. A group is one piece of work, named after the
function and its size.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.engine.engines import load


@pytest.fixture(scope="session", params=["c", "python"])
def engine(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Return an engine: a namespace with all names of ``wsfast.engine``."""
    try:
        return load(request.param)
    except ImportError as error:
        pytest.skip(str(error))
