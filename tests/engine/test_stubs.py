"""One stub tells the truth about both engines: mypy's stubtest compares them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.engine.conftest import PURE

pytest.importorskip("mypy", reason="mypy is not installed")

# Runs stubtest on the modules of the C engine, or on the pure ones in their place.
PROGRAM = """
import sys
from mypy import stubtest

if sys.argv.pop(1) == "python":
    import wsfast._pure, wsfast._pure_events, wsfast._pure_frames, wsfast._pure_sockjs
    import wsfast._pure_writer

    sys.modules["wsfast._engine"] = wsfast._pure
    sys.modules["wsfast._frame_parser"] = wsfast._pure_frames
    sys.modules["wsfast._frames"] = wsfast._pure_frames
    sys.modules["wsfast._writer"] = wsfast._pure_writer
    sys.modules["wsfast._events"] = wsfast._pure_events
    sys.modules["wsfast._sockjs"] = wsfast._pure_sockjs
sys.exit(stubtest.main())
"""


# What Cython adds to a module, and the one signature it does not tell.
CYTHON = r"""
wsfast\..*\.__(pyx_capi|reduce_cython|setstate_cython|test)__
wsfast\..*\.(FrameParser|MessageParser|FrameWriter|EventParser)\.__init__
"""
# Two modules of C are one of Python.
PYTHON = r"""
wsfast\..*\.__all__
wsfast\._frames\.FrameParser
wsfast\._frame_parser\.MessageParser
"""


@pytest.mark.parametrize("name", ["python"] if PURE else ["c", "python"])
def test_stubs(name, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text(PYTHON if name == "python" else CYTHON)
    modules = ["_engine", "_frame_parser", "_frames", "_writer", "_events", "_sockjs"]
    modules = [f"wsfast.{module}" for module in modules]
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nfollow_imports = silent\n")  # the stubs and no more
    options = ["--ignore-disjoint-bases", "--allowlist", str(allowed)]
    options += ["--mypy-config-file", str(config)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, *modules, *options],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
