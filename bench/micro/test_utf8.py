"""UTF-8: validation and decoding, against CPython's decoder and wsaccel."""

from __future__ import annotations

import codecs
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


PIECE = 125  # octets: text that arrives in small fragments


def pieces_of(script: str, size: int) -> list[bytes]:
    data = text_of(script, size).encode()
    return [data[i : i + PIECE] for i in range(0, size, PIECE)]


def measure_pieces(benchmark: Any, kind: Any, script: str, size: int) -> None:
    """Validate a text in pieces with a validator of the kind of wsaccel's."""
    pieces = pieces_of(script, size)

    def validate() -> tuple[bool, bool, int, int]:
        validator = kind()
        for piece in pieces:
            found: tuple[bool, bool, int, int] = validator.validate(piece)
        return found

    assert validate() == (True, True, len(pieces[-1]), size)
    benchmark.group = f"Utf8Validator {script} {size} B in pieces of {PIECE}"
    benchmark.extra_info.update(octets=size)
    benchmark(validate)


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("script", ["ascii", "cjk"])
def test_validator(
    benchmark: Any, engine: SimpleNamespace, script: str, size: int
) -> None:
    measure_pieces(benchmark, engine.Utf8Validator, script, size)


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("script", ["ascii", "cjk"])
def test_validator_wsaccel(benchmark: Any, script: str, size: int) -> None:
    peer = pytest.importorskip("wsaccel.utf8validator")
    measure_pieces(benchmark, peer.Utf8Validator, script, size)


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("script", ["ascii", "cjk"])
def test_validator_codecs(benchmark: Any, script: str, size: int) -> None:
    """Do what wsproto does: decode each piece with CPython's incremental decoder."""
    pieces = pieces_of(script, size)

    def decode() -> str:
        decoder = codecs.getincrementaldecoder("utf-8")()
        return "".join([*map(decoder.decode, pieces), decoder.decode(b"", True)])

    assert decode() == text_of(script, size)
    benchmark.group = f"Utf8Validator {script} {size} B in pieces of {PIECE}"
    benchmark.extra_info.update(octets=size)
    benchmark(decode)
