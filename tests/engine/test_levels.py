"""
The tests of the engine on every level of SIMD, in interpreters of their own.

The processor's best is what the other files run on; each of those below it, down to
none at all, is forced here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wsfast.engine

ROOT = Path(__file__).resolve().parents[2]
#: What goes through a kernel: masking, UTF-8, the parsers.
FILES = ("mask", "utf8", "frame_parser", "messages", "encode", "events", "sockjs")
PASSED = re.compile(r"\b(\d+) passed, \d+ deselected")


@pytest.mark.slow  # seconds each, on a machine that does nothing else
@pytest.mark.timeout(620)
@pytest.mark.parametrize("kernel", wsfast.engine.KERNELS[1:])
def test_the_engine_on_each_level_below_the_best(kernel):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("WSFAST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--hypothesis-profile", "few", "-k", "not python and not linear"]
    command += [f"tests/engine/test_{name}.py" for name in FILES]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**inherited, "WSFAST_KERNEL": kernel},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = PASSED.search(done.stdout)
    assert passed is not None, done.stdout
    assert int(passed[1]) > 200, done.stdout
