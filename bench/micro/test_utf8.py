"""UTF-8: validation and decoding, against CPython's decoder and wsaccel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.micro.texts import SCRIPTS, text_of

SIZES = [64, 1 << 10, 64 << 10]  # octets


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_is_valid_utf8(
    benchmark: Any, engine: SimpleNamespace, script: str, size: int
) -> None:
    data = text_of(script, size).encode()
    assert engine.is_valid_utf8(data)
    assert not engine.is_valid_utf8(data[:-1] + b"\xff")
    benchmark.group = f"is_valid_utf8 {script} {size} B"
    benchmark.extra_info.update(octets=size, kernel=engine.KERNEL)
    benchmark(engine.is_valid_utf8, data)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_is_valid_utf8_wsaccel(benchmark: Any, script: str, size: int) -> None:
    peer = pytest.importorskip("wsaccel.utf8validator")
    data = text_of(script, size).encode()
    assert peer.Utf8Validator().validate(data)[:2] == (True, True)
    benchmark.group = f"is_valid_utf8 {script} {size} B"
    benchmark.extra_info.update(octets=size)
    benchmark(lambda: peer.Utf8Validator().validate(data))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_decode_utf8(
    benchmark: Any, engine: SimpleNamespace, script: str, size: int
) -> None:
    text = text_of(script, size)
    data = text.encode()
    assert engine.decode_utf8(data) == text
    benchmark.group = f"decode_utf8 {script} {size} B"
    benchmark.extra_info.update(octets=size, kernel=engine.KERNEL)
    benchmark(engine.decode_utf8, data)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_decode_utf8_cpython(benchmark: Any, script: str, size: int) -> None:
    data = text_of(script, size).encode()
    benchmark.group = f"decode_utf8 {script} {size} B"
    benchmark.extra_info.update(octets=size)
    benchmark(data.decode)
