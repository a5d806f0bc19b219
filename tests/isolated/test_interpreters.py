"""
Subinterpreters with a GIL of their own (PEP 684), of CPython 3.13 and later.

The pure modules work in any number of them. The compiled ones keep storage that one
GIL guards, and do not say that they can do without: CPython refuses them by name, and
the interpreter that has them goes on. Compiled with module state and declared all the
same, the engine crashes when its interpreter ends (CPython 3.13.0, Cython 3.3.1).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wsfast
from wsfast import engine

HERE = Path(__file__).parent
TIMEOUT_S = 100

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13),
    reason="its subinterpreters share a GIL; those of 3.12.1 hung in asyncio alone",
)


def in_interpreters(**environment):
    """Run the echo in several; return what became of it, without what was printed."""
    words = {**os.environ, "MULTIDICT_NO_EXTENSIONS": "1", **environment}
    root = Path(wsfast.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, HERE / "interpreters.py", HERE / "echo.py", root],
        env=words,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_pure_modules_serve_in_each():
    lines = in_interpreters(WSFAST_PURE="1")
    assert lines.count("echoed by python") == 3
    assert lines.count("done") == 3


@pytest.mark.skipif(engine.KERNEL == "python", reason="nothing is compiled")
def test_the_compiled_modules_are_refused_by_name():
    lines = in_interpreters(WSFAST_PURE="")
    refused = re.compile(
        r"ImportError: module wsfast\.\S+ does not support loading in subinterpreters"
    )
    assert sum(refused.fullmatch(line) is not None for line in lines) == 3, lines
    assert "done" not in lines
