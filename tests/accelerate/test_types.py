"""A checker of types takes both spellings: the function, and the module's functions."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import wsfast
from wsfast.accelerate import AccelerateError, Report, accelerate, undo

report: Report = wsfast.accelerate("wsaccel")
undone: tuple[str, ...] = wsfast.accelerate.undo()
same: Report = accelerate("wsaccel")
undo("wsaccel")
try:
    wsfast.accelerate(7)  # type: ignore[arg-type]
except AccelerateError:
    print(wsfast.accelerate.accelerated().as_dict())
"""


def test_types(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores"]
    command += ["--cache-dir", str(tmp_path / "cache"), str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.stdout == "Success: no issues found in 1 source file\n"
