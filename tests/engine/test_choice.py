"""Which engine and which kernels are chosen, in interpreters of their own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

import wsfast.engine
from tests.engine.conftest import PURE

PROBE = """
import wsfast.engine as e
print((e.KERNEL, e.KERNELS, e.mask.__module__, e.FrameParser.__module__))
"""
CHECK = """
import random
import wsfast._pure as pure
import wsfast.engine as e

pieces = random.Random(7)
texts = ["a", "aé", "漢字", "🚀a漢é", "\\x7f\\x80"]
for length in [*range(200), 1000, 4096, 70000]:
    data = pieces.randbytes(length)
    key = pieces.randbytes(4)
    assert e.mask(data, key, length) == pure.mask(data, key, length), length
    text = (texts[length % 5] * length)[:length]
    octets = text.encode()
    assert e.decode_utf8(octets) == text, length
    spoilt = octets[: length // 2] + data[:3] + octets[length // 2 :]
    assert e.is_valid_utf8(spoilt) == pure.is_valid_utf8(spoilt), length
    mine, theirs = e.Utf8Validator(), pure.Utf8Validator()
    assert mine.validate(spoilt) == theirs.validate(spoilt), length
    parser = e.MessageParser(client=False)
    assert parser.receive(e.encode_frame(1, text, mask=key)) == [text], length
    assert parser.receive(e.encode_frame(2, data, mask=key)) == [data], length
print(e.KERNEL)
"""


def run(program, **variables):
    """Run a program in a new interpreter; return what became of it."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("WSFAST_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        timeout=100,
    )


def probe(**variables):
    done = run(PROBE, **variables)
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout)


def test_all_names_are_there(engine):
    for name in wsfast.engine.__all__:
        assert hasattr(engine, name)
    assert engine.KERNEL in engine.KERNELS
    assert type(engine.KERNELS) is tuple
    assert {type(name) for name in engine.KERNELS} == {str}
    assert (engine.KERNEL == "python") == (engine.name == "python")


def test_both_engines_share_their_types(engines):
    first, second = engines
    for name in ("Frame", "Control", "FrameError"):
        assert getattr(first, name) is getattr(second, name)


@pytest.mark.skipif(PURE, reason="a build without the C engine")
def test_c_by_default():
    kernel, kernels, *modules = probe()
    assert modules == ["wsfast._engine", "wsfast._frame_parser"]
    assert kernel == kernels[0]
    assert kernels[-1] == "scalar"
    assert probe(WSFAST_PURE="0", WSFAST_KERNEL="")[0] == kernel


def test_pure_when_asked_for():
    pure = ("python", ("python",), "wsfast._pure", "wsfast._pure_frames")
    assert probe(WSFAST_PURE="1") == pure
    assert probe(WSFAST_KERNEL="python") == pure
    assert probe(WSFAST_PURE="yes", WSFAST_KERNEL="python") == pure


def test_pure_when_nothing_else_was_built():
    hide = """
import importlib.machinery, sys
importlib.machinery.EXTENSION_SUFFIXES.clear()
sys.path_importer_cache.clear()
sys.path_hooks[:] = [
    importlib.machinery.FileFinder.path_hook(
        (importlib.machinery.SourceFileLoader, [".py"]),
        (importlib.machinery.ExtensionFileLoader, [".cpython-none.so"]),
    )
]
"""
    done = run(f"import ast, random, struct, typing\n{hide}\n{PROBE}")
    if done.returncode == 0:  # modules of the standard library may be extensions
        assert "wsfast._pure_frames" in done.stdout
    else:
        assert "wsfast" not in done.stderr.splitlines()[-1]


@pytest.mark.skipif(PURE, reason="a build without the C engine")
def test_each_kernel_by_name_agrees_with_python():
    kernels = probe()[1]
    for name in kernels:
        done = run(CHECK, WSFAST_KERNEL=name)
        assert (done.returncode, done.stdout.strip()) == (0, name), done.stderr
        assert probe(WSFAST_KERNEL=name)[:2] == (name, kernels)


def test_a_kernel_that_does_not_run_here():
    for variables in (
        {"WSFAST_KERNEL": "z80"},
        {"WSFAST_KERNEL": "z80", "WSFAST_PURE": "1"},
        {"WSFAST_KERNEL": "scalar", "WSFAST_PURE": "1"},
    ):
        done = run(PROBE, **variables)
        last = done.stderr.splitlines()[-1]
        assert done.returncode == 1
        assert last.startswith(
            f"ImportError: WSFAST_KERNEL={variables['WSFAST_KERNEL']}:"
        )
        assert "it can run: " in last
