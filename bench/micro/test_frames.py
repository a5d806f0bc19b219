"""Frames one by one, as authors of libraries read and write them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.engines import load

# octets of payload -> frames in a read or a write, of 64 KiB at most in all: what takes
# more measures how the allocator gets its memory from the system
COUNTS = {16: 100, 125: 100, 1 << 10: 60, 60 << 10: 1}


def read_of(size: int) -> tuple[bytes, list[bytes]]:
    """Return what one read brings a server: binary frames; and their payloads."""
    count = COUNTS[size]
    payloads = [bytes((i + n) & 0xFF for i in range(size)) for n in range(count)]
    encode = load("python").encode_frame
    return b"".join(encode(2, one, mask=True) for one in payloads), payloads


def measure_read(
    benchmark: Any, receive: Callable[[bytes], list[Any]], size: int
) -> None:
    data, payloads = read_of(size)
    assert [bytes(one) for one in receive(data)] == payloads
    benchmark.group = f"read {len(payloads)} frames of {size} B"
    benchmark.extra_info.update(octets=len(data), frames=len(payloads))
    benchmark(receive, data)


@pytest.mark.parametrize("size", COUNTS)
def test_read(benchmark: Any, engine: SimpleNamespace, size: int) -> None:
    parser = engine.FrameParser(client=False)

    def receive(data: bytes) -> list[Any]:
        return [frame.payload for frame in parser.feed(data)]

    measure_read(benchmark, receive, size)


@pytest.mark.parametrize("size", COUNTS)
def test_read_websockets(benchmark: Any, size: int) -> None:
    pytest.importorskip("websockets")
    from websockets.frames import Frame
    from websockets.streams import StreamReader

    reader = StreamReader()

    def receive(data: bytes) -> list[Any]:
        reader.feed_data(data)
        found = []
        for _ in range(COUNTS[size]):
            parser = Frame.parse(reader.read_exact, mask=True)
            try:
                next(parser)
            except StopIteration as done:
                found.append(done.value.data)
        return found

    measure_read(benchmark, receive, size)


@pytest.mark.parametrize("size", COUNTS)
def test_read_wsproto(benchmark: Any, size: int) -> None:
    pytest.importorskip("wsproto")
    from wsproto.frame_protocol import FrameProtocol

    protocol = FrameProtocol(client=False, extensions=[])

    def receive(data: bytes) -> list[Any]:
        protocol.receive_bytes(data)
        return [frame.payload for frame in protocol.received_frames()]

    measure_read(benchmark, receive, size)


def measure_write(benchmark: Any, send: Callable[[], bytes], size: int) -> None:
    count = COUNTS[size]
    parser = load("python").FrameParser(client=True)
    assert [frame.payload for frame in parser.feed(send())] == [bytes(size)] * count
    benchmark.group = f"write {count} frames of {size} B"
    benchmark.extra_info.update(octets=size * count, frames=count)
    benchmark(send)


@pytest.mark.parametrize("size", COUNTS)
def test_write(benchmark: Any, engine: SimpleNamespace, size: int) -> None:
    writer = engine.FrameWriter(client=False)
    payload = bytes(size)

    def send() -> bytes:
        for _ in range(COUNTS[size]):
            writer.frame(2, payload)
        octets: bytes = writer.take()
        return octets

    measure_write(benchmark, send, size)


@pytest.mark.parametrize("size", COUNTS)
def test_write_websockets(benchmark: Any, size: int) -> None:
    pytest.importorskip("websockets")
    from websockets.protocol import OPEN
    from websockets.server import ServerProtocol

    protocol = ServerProtocol(state=OPEN)
    payload = bytes(size)

    def send() -> bytes:
        for _ in range(COUNTS[size]):
            protocol.send_binary(payload)
        return b"".join(protocol.data_to_send())

    measure_write(benchmark, send, size)


@pytest.mark.parametrize("size", COUNTS)
def test_write_wsproto(benchmark: Any, size: int) -> None:
    pytest.importorskip("wsproto")
    from wsproto.frame_protocol import FrameProtocol

    protocol = FrameProtocol(client=False, extensions=[])
    payload = bytes(size)

    def send() -> bytes:
        return b"".join([protocol.send_data(payload) for _ in range(COUNTS[size])])

    measure_write(benchmark, send, size)
