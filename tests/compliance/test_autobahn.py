"""The Autobahn testsuite, both roles on every path: OK, nothing less."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compliance.cases import COUNTS, INFORMATIONAL, judge
from tests.compliance.suite import run_suite
from tests.compliance.threads import run_threads
from tests.support.targets import chosen

TARGET = chosen()
ROLES = ("server", "client")


@pytest.mark.parametrize(
    ("behaviour", "closing", "passes"),
    [
        ("OK", "OK", True),
        ("NON-STRICT", "OK", False),
        ("INFORMATIONAL", "OK", False),
        ("OK", "INFORMATIONAL", False),
        ("UNIMPLEMENTED", "OK", False),
        ("OK", "UNCLEAN", False),
        ("OK", "WRONG CODE", False),
        ("OK", "FAILED BY CLIENT", False),
    ],
)
def test_only_ok_passes(behaviour: str, closing: str, passes: bool) -> None:
    results = {"1.1.1": {"behavior": behaviour, "behaviorClose": closing}}
    verdict = judge("agent", results)
    assert (verdict.ok, len(verdict.failures)) == ((1, 0) if passes else (0, 1))


def test_only_named_cases_may_be_informational() -> None:
    entry = {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"}
    results = dict.fromkeys((*INFORMATIONAL, "7.1.5"), entry)
    verdict = judge("agent", results)
    assert verdict.failures == {"7.1.5": "INFORMATIONAL/INFORMATIONAL"}
    assert verdict.informational == sorted(INFORMATIONAL)


def run(role: str, path: str, cases: str, out: Path, **options: str) -> None:
    """Run a set of cases; every one of them must be there, and pass."""
    verdict = run_suite(TARGET, role, path, cases, out=out, limit_s=280, **options)
    print(verdict.line())
    assert not verdict.failures, verdict.line()
    assert verdict.total == COUNTS[cases], verdict.line()


@pytest.mark.needs("python2.7")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", TARGET.paths)
@pytest.mark.parametrize("role", ROLES)
def test_messages_frames_and_closing(role: str, path: str, tmp_path: Path) -> None:
    run(role, path, "quick", tmp_path)


@pytest.mark.needs("python2.7")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not TARGET.own, reason="the target is not wsfast")
@pytest.mark.parametrize("role", ROLES)
def test_threads(role: str, tmp_path: Path) -> None:
    verdict = run_threads(role, "quick", out=tmp_path, limit_s=280)
    assert not verdict.failures, verdict.line()
    assert verdict.total == COUNTS["quick"], verdict.line()


@pytest.mark.needs("python2.7")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", TARGET.paths)
@pytest.mark.parametrize("role", ROLES)
def test_sample_of_deflate(role: str, path: str, tmp_path: Path) -> None:
    run(role, path, "sample", tmp_path, loop="uvloop")


@pytest.mark.needs("python2.7")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("role", "path"), list(zip(ROLES, (TARGET.paths[0], TARGET.paths[-1]), strict=True))
)
def test_limits(role: str, path: str, tmp_path: Path) -> None:
    run(role, path, "limits", tmp_path)


@pytest.mark.needs("python2.7")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not TARGET.own, reason="the target has no callback class")
def test_callback_class(tmp_path: Path) -> None:
    run("server", TARGET.paths[0], "quick", tmp_path, script="callback")
