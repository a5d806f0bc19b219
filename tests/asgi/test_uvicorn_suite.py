"""uvicorn's own tests of WebSockets pass with our class, but for these."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.support import suites

PLUGIN = Path(__file__).parent / "plugin"

GOODBYE = (
    "an application that returns or fails has its client told so by a close frame; "
    "uvicorn's classes cut the connection, which clients see as 1006"
)
QUEUE = "reading stops when ws_max_queue messages wait, not at the first one"
OUTPUT = (
    "senders wait when the output is over its high-water mark, not whenever the "
    "transport has anything left: it is told to tell us of each octet"
)
WHEEL = "timers are on one wheel with slots of 50 ms, so none fires in the next turn"
CLIENT = (
    "we read on until the client has sent all it wants to, so that it sees the close "
    "frame; its asyncio transport then closes in a way that its own abort() trips over"
)

#: Test -> why it may fail.
DEVIATIONS = {
    "test_duplicate_handshake": GOODBYE,
    "test_asgi_return_value": GOODBYE,
    "test_close_transport_on_asgi_return": GOODBYE,
    "test_close_resumes_reads_paused_on_an_unconsumed_message": QUEUE,
    "test_send_respects_write_backpressure": OUTPUT,
    "test_connection_lost_unblocks_paused_send": OUTPUT,
    "test_close_gives_up_when_the_peer_never_replies": WHEEL,
    "test_send_binary_data_to_server_bigger_than_default_on_websockets"
    "[httptools-max=defaults sent=defaults+1]": CLIENT,
    "test_send_binary_data_to_server_bigger_than_default_on_websockets"
    "[h11-max=defaults sent=defaults+1]": CLIENT,
}
#: How many tests have to pass, so that one that silently goes missing is seen.
PASSED = 134

CASE = "testcase"


SUITE = "tests/protocols/test_websocket.py"


def run(path: str, report: Path, *tests: str) -> dict[str, str]:
    """Run tests of the suite; return the outcome of each."""
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "wsfast_in_uvicorn"]
    command += ["-p", "no:asyncio", "-p", "no:cacheprovider", "-o", "addopts="]
    command += ["-k", "not wsproto", f"--junitxml={report}"]
    done = subprocess.run(
        [*command, *tests],
        cwd=suites.folder_of("uvicorn"),
        env={
            **os.environ,
            "PYTHONPATH": str(PLUGIN),
            "WSFAST_REACTOR": "1" if path == "reactor" else "0",
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    print(done.stdout)
    return {case.get("name", ""): outcome(case) for case in ET.parse(report).iter(CASE)}


def outcome(case: ET.Element) -> str:
    """Return what a report says of a test."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def excuse(name: str) -> str | None:
    """Return why a test may fail, None if it must not."""
    return DEVIATIONS.get(name, DEVIATIONS.get(name.partition("[")[0]))


@pytest.mark.needs("suites")
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", ["reactor", "transport"])
def test_uvicorns_own_tests(path: str, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    outcomes = run(path, report, SUITE)
    for _ in range(2):
        # Many of them wait for a tenth of a second and then expect things to be done.
        again = [
            f"{SUITE}::{name}"
            for name, what in outcomes.items()
            if what == "failed" and excuse(name) is None
        ]
        if again:
            outcomes.update(run(path, report, *again))
    failed = [name for name, what in outcomes.items() if what == "failed"]
    assert [name for name in failed if excuse(name) is None] == []
    known = {name.partition("[")[0] for name in outcomes} | outcomes.keys()
    assert DEVIATIONS.keys() <= known, "uvicorn has no such tests any more"
    assert list(outcomes.values()).count("passed") >= PASSED
