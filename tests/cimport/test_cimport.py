"""
The engine cimported by somebody else's Cython module, compiled here.

Against what is installed: the work tree, or a wheel (.ci/run), whose .pxd files and C
headers it then takes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import wsfast
from wsfast import engine

HERE = Path(__file__).parent
KEY = bytes.fromhex("37fa213d")

pytestmark = pytest.mark.skipif(
    engine.KERNEL == "python", reason="there is nothing to cimport in pure Python"
)


@pytest.fixture(scope="module")
def frame_echo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cimport")
    for name in ("frame_echo.pyx", "setup.py"):
        shutil.copy(HERE / name, folder)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder,
        # Cython does not know of editable installations.
        env={**os.environ, "PYTHONPATH": str(Path(wsfast.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("frame_echo*.so")
    spec = importlib.util.spec_from_file_location("frame_echo", built)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_messages_are_echoed(frame_echo):
    long = bytes(range(256)) * 1024
    sent = (
        engine.encode_frame(1, "κόσμε".encode(), mask=KEY)
        + engine.encode_frame(1, b"", fin=False, mask=KEY)
        + engine.encode_frame(0, b"Hello", mask=KEY)
        + engine.encode_frame(2, long, mask=KEY)
    )
    answer = frame_echo.Echo().answer(sent)
    assert engine.MessageParser(client=True).receive(answer) == ["κόσμε", "Hello", long]


def test_errors_are_seen(frame_echo):
    with pytest.raises(ValueError, match="mask"):
        frame_echo.Echo().answer(engine.encode_frame(1, b"Hello"))


def test_functions(frame_echo):
    keys = {frame_echo.masking_key() for _ in range(100)}
    assert len(keys) > 90
    assert {len(key) for key in keys} == {4}
    assert frame_echo.text_of("κόσμε".encode()) == "κόσμε"
    assert frame_echo.text_of(b"\xff") is None
    assert frame_echo.kernel() == engine.KERNEL
