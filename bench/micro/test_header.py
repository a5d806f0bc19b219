"""Frame headers and whole frames, encoded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

KEY = bytes.fromhex("37fa213d")
SIZES = [16, 125, 126, 1 << 10, 64 << 10]  # octets; 126 needs a longer header


@pytest.mark.parametrize("size", SIZES)
def test_encode_header(benchmark: Any, engine: SimpleNamespace, size: int) -> None:
    header = engine.encode_header(2, size, key=KEY)
    assert engine.FrameParser(client=False).feed(header) == []
    assert header.endswith(KEY)
    benchmark.group = f"encode_header {size} B"
    benchmark.extra_info.update(octets=size)
    benchmark(engine.encode_header, 2, size, key=KEY)


@pytest.mark.parametrize("size", SIZES)
def test_encode_frame(benchmark: Any, engine: SimpleNamespace, size: int) -> None:
    payload = bytes(size)
    frame = engine.encode_frame(2, payload, mask=True)
    (parsed,) = engine.FrameParser(client=False).feed(frame)
    assert parsed.payload == payload
    benchmark.group = f"encode masked frame {size} B"
    benchmark.extra_info.update(octets=size, kernel=engine.KERNEL)
    benchmark(engine.encode_frame, 2, payload, mask=True)


@pytest.mark.parametrize("size", SIZES)
def test_encode_frame_websockets(benchmark: Any, size: int) -> None:
    peer = pytest.importorskip("websockets.frames")
    payload = bytes(size)

    def encode() -> bytes:
        frame = peer.Frame(peer.Opcode.BINARY, payload)
        found: bytes = frame.serialize(mask=True)
        return found

    assert len(encode()) == size + (6 if size < 126 else 8 if size < 65536 else 14)
    benchmark.group = f"encode masked frame {size} B"
    benchmark.extra_info.update(octets=size)
    benchmark(encode)


@pytest.mark.parametrize("size", SIZES)
def test_encode_frame_wsproto(benchmark: Any, size: int) -> None:
    peer = pytest.importorskip("wsproto.frame_protocol")
    protocol = peer.FrameProtocol(client=True, extensions=[])
    payload = bytes(size)
    frame = protocol.send_data(payload)
    assert len(frame) == size + (6 if size < 126 else 8 if size < 65536 else 14)
    benchmark.group = f"encode masked frame {size} B"
    benchmark.extra_info.update(octets=size)
    benchmark(protocol.send_data, payload)
