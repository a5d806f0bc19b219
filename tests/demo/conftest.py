"""A running demo."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.process import ROOT


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """Run the demo as ``make run`` does; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wsfast.demo", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        try:
            assert found, line
            yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                status = process.wait(15)
            finally:
                process.kill()
        assert status == 0
