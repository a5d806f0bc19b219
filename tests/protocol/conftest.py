"""What the tests of the handshake share."""

from __future__ import annotations

import pytest
from hypothesis import settings

from wsfast.protocol import heads

# How long an example takes tells more of the machine than of us.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(params=list(heads.LIBRARIES))
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read heads by each library in turn."""
    name: str = request.param
    monkeypatch.setattr(heads, "_library", name)
    monkeypatch.setattr(heads, "_split", heads.LIBRARIES[name])
    return name
