"""Masking, from Python, against the functions that peers mask with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

KEY = bytes.fromhex("37fa213d")
SIZES = [16, 125, 1 << 10, 64 << 10, 1 << 20]  # octets


def payload_of(size: int) -> bytes:
    return bytes(i & 0xFF for i in range(size))


def expected(data: bytes) -> bytes:
    return bytes(octet ^ KEY[i % 4] for i, octet in enumerate(data))


@pytest.mark.parametrize("size", SIZES)
def test_mask(benchmark: Any, engine: SimpleNamespace, size: int) -> None:
    data = payload_of(size)
    assert engine.mask(data, KEY) == expected(data)  # wrong is not fast
    benchmark.group = f"mask {size} B"
    benchmark.extra_info.update(octets=size, kernel=engine.KERNEL)
    benchmark(engine.mask, data, KEY)


@pytest.mark.parametrize("size", SIZES)
def test_mask_floor(benchmark: Any, size: int) -> None:
    """What allocating and ``memcpy`` cost alone."""
    view = memoryview(payload_of(size))
    assert bytes(view) == view
    benchmark.group = f"mask {size} B"
    benchmark.extra_info.update(octets=size, kernel="memcpy")
    benchmark(bytes, view)


def _websockets() -> Callable[[bytes], bytes]:
    mask = importlib.import_module("websockets.speedups").apply_mask
    return lambda data: mask(data, KEY)


def _tornado() -> Callable[[bytes], bytes]:
    mask = importlib.import_module("tornado.speedups").websocket_mask
    return lambda data: mask(KEY, data)


def _wsaccel() -> Callable[[bytes], bytes]:
    masker = importlib.import_module("wsaccel.xormask").XorMaskerSimple
    return lambda data: masker(KEY).process(data)


def _wsproto() -> Callable[[bytes], bytes]:
    masker = importlib.import_module("wsproto.frame_protocol").XorMaskerSimple
    return lambda data: masker(KEY).process(data)


PEERS = {
    "websockets": _websockets,
    "tornado": _tornado,
    "wsaccel": _wsaccel,
    "wsproto": _wsproto,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("peer", PEERS)
def test_mask_peer(benchmark: Any, peer: str, size: int) -> None:
    pytest.importorskip(peer)
    mask = PEERS[peer]()
    data = payload_of(size)
    assert mask(data) == expected(data)
    benchmark.group = f"mask {size} B"
    benchmark.extra_info.update(octets=size)
    benchmark(mask, data)


@pytest.mark.parametrize("size", SIZES)
def test_unmask_inplace(benchmark: Any, engine: SimpleNamespace, size: int) -> None:
    data = bytearray(payload_of(size))
    engine.unmask_inplace(data, KEY)
    assert data == expected(payload_of(size))
    benchmark.group = f"mask in place {size} B"
    benchmark.extra_info.update(octets=size, kernel=engine.KERNEL)
    benchmark(engine.unmask_inplace, data, KEY)


@pytest.mark.parametrize("size", SIZES)
def test_unmask_inplace_aiohttp(benchmark: Any, size: int) -> None:
    pytest.importorskip("aiohttp")
    mask: Callable[[bytes, bytearray], None] = importlib.import_module(
        "aiohttp._websocket.mask"
    )._websocket_mask_cython
    data = bytearray(payload_of(size))
    mask(KEY, data)
    assert data == expected(payload_of(size))
    benchmark.group = f"mask in place {size} B"
    benchmark.extra_info.update(octets=size)
    benchmark(mask, KEY, data)
