"""The Autobahn testsuite through uvicorn: OK, nothing less."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compliance.cases import COUNTS
from tests.compliance.uvicorn import run_uvicorn

WAYS = [("reactor", "asyncio"), ("reactor", "uvloop"), ("transport", "uvloop")]


@pytest.mark.needs("python2.7")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("path", "loop"), WAYS)
def test_messages_frames_and_closing(path: str, loop: str, tmp_path: Path) -> None:
    verdict = run_uvicorn(path, "quick", loop=loop, out=tmp_path / "out", limit_s=280)
    print(verdict.line())
    assert not verdict.failures, verdict.line()
    assert verdict.total == COUNTS["quick"], verdict.line()
