"""Frames one by one, as authors of libraries read and write them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.engines import load

SIZES = [16, 125, 1 << 10, 64 << 10]  # octets of payload
COUNT = 100  # frames in a read, or in a write


def read_of(size: int) -> tuple[bytes, list[bytes]]:
    """Return what one read brings a server: binary frames; and their payloads."""
    payloads = [bytes((i + n) & 0xFF for i in range(size)) for n in range(COUNT)]
    encode = load("python").encode_frame
    return b"".join(encode(2, one, mask=True) for one in payloads), payloads


def measure_read(
    benchmark: Any, receive: Callable[[bytes], list[Any]], size: int
) -> None:
    data, payloads = read_of(size)
    assert [bytes(one) for one in receive(data)] == payloads
    benchmark.group = f"read {COUNT} frames of {size} B"
    benchmark.extra_info.update(octets=len(data), frames=COUNT)
    benchmark(receive, data)


@pytest.mark.parametrize("size", SIZES)
def test_read(benchmark: Any, engine: SimpleNamespace, size: int) -> None:
    parser = engine.FrameParser(client=False)

    def receive(data: bytes) -> list[Any]:
        return [frame.payload for frame in parser.feed(data)]

    measure_read(benchmark, receive, size)


@pytest.mark.parametrize("size", SIZES)
def test_read_websockets(benchmark: Any, size: int) -> None:
    pytest.importorskip("websockets")
    from websockets.frames import Frame
    from websockets.streams import StreamReader

    reader = StreamReader()

    def receive(data: bytes) -> list[Any]:
        reader.feed_data(data)
        found = []
        for _ in range(COUNT):
            parser = Frame.parse(reader.read_exact, mask=True)
            try:
                next(parser)
            except StopIteration as done:
                found.append(done.value.data)
        return found

    measure_read(benchmark, receive, size)


@pytest.mark.parametrize("size", SIZES)
def test_read_wsproto(benchmark: Any, size: int) -> None:
    pytest.importorskip("wsproto")
    from wsproto.frame_protocol import FrameProtocol

    protocol = FrameProtocol(client=False, extensions=[])

    def receive(data: bytes) -> list[Any]:
        protocol.receive_bytes(data)
        return [frame.payload for frame in protocol.received_frames()]

    measure_read(benchmark, receive, size)


def measure_write(benchmark: Any, send: Callable[[], bytes], size: int) -> None:
    parser = load("python").FrameParser(client=True)
    assert [frame.payload for frame in parser.feed(send())] == [bytes(size)] * COUNT
    benchmark.group = f"write {COUNT} frames of {size} B"
    benchmark.extra_info.update(octets=size * COUNT, frames=COUNT)
    benchmark(send)


@pytest.mark.parametrize("size", SIZES)
def test_write(benchmark: Any, engine: SimpleNamespace, size: int) -> None:
    writer = engine.FrameWriter(client=False)
    payload = bytes(size)

    def send() -> bytes:
        for _ in range(COUNT):
            writer.frame(2, payload)
        octets: bytes = writer.take()
        return octets

    measure_write(benchmark, send, size)


@pytest.mark.parametrize("size", SIZES)
def test_write_websockets(benchmark: Any, size: int) -> None:
    pytest.importorskip("websockets")
    from websockets.protocol import OPEN
    from websockets.server import ServerProtocol

    protocol = ServerProtocol(state=OPEN)
    payload = bytes(size)

    def send() -> bytes:
        for _ in range(COUNT):
            protocol.send_binary(payload)
        return b"".join(protocol.data_to_send())

    measure_write(benchmark, send, size)


@pytest.mark.parametrize("size", SIZES)
def test_write_wsproto(benchmark: Any, size: int) -> None:
    pytest.importorskip("wsproto")
    from wsproto.frame_protocol import FrameProtocol

    protocol = FrameProtocol(client=False, extensions=[])
    payload = bytes(size)

    def send() -> bytes:
        return b"".join([protocol.send_data(payload) for _ in range(COUNT)])

    measure_write(benchmark, send, size)
