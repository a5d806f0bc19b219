"""The protocol without I/O: a server echoes what one read brings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.micro.test_parser import frames_of
from tests.engine.engines import load

SIZES = [64, 1 << 10]  # octets of payload


def measure(benchmark: Any, echo: Callable[[bytes], bytes], size: int) -> None:
    data, texts = frames_of("ascii", size)
    assert load("python").MessageParser(client=True).receive(echo(data)) == texts
    benchmark.group = f"echo without I/O {size} B x {len(texts)}"
    benchmark.extra_info.update(octets=len(data), messages=len(texts))
    benchmark(echo, data)


@pytest.mark.parametrize("size", SIZES)
def test_echo_wsproto(benchmark: Any, size: int) -> None:
    pytest.importorskip("wsproto")
    from wsproto.connection import Connection, ConnectionType
    from wsproto.events import TextMessage

    connection = Connection(ConnectionType.SERVER)

    def echo(data: bytes) -> bytes:
        connection.receive_data(data)
        return b"".join(
            connection.send(TextMessage(event.data))
            for event in connection.events()
            if isinstance(event, TextMessage)
        )

    measure(benchmark, echo, size)


@pytest.mark.parametrize("size", SIZES)
def test_echo_websockets(benchmark: Any, size: int) -> None:
    pytest.importorskip("websockets")
    from websockets.frames import Frame
    from websockets.protocol import OPEN
    from websockets.server import ServerProtocol

    protocol = ServerProtocol(state=OPEN, max_size=None)

    def echo(data: bytes) -> bytes:
        protocol.receive_data(data)
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            protocol.send_text(frame.data)
        return b"".join(protocol.data_to_send())

    measure(benchmark, echo, size)


@pytest.mark.parametrize("size", SIZES)
def test_echo(benchmark: Any, size: int) -> None:
    from wsfast.protocol.messages import Protocol

    class Echo(Protocol):
        def message_received(self, message: str | bytes) -> None:
            self.send_message(1, message)

    protocol = Echo(client=False)

    def echo(data: bytes) -> bytes:
        protocol.receive_data(data)
        return protocol.data_to_send()

    measure(benchmark, echo, size)
