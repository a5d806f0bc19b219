"""Masked text frames to ``str``, as a server receives them: 64 KiB at a time."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from bench.micro.texts import text_of
from tests.engine.engines import load

SIZES = [64, 1 << 10, 16 << 10]  # octets of payload
READ = 64 << 10  # octets of a read
SCRIPTS = ["ascii", "cjk"]

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frames_of(script: str, size: int) -> tuple[bytes, list[str]]:
    """Return what one read brings, and the messages in it."""
    engine = load("python")
    count = max(1, READ // (size + 8))
    texts = [text_of(script, size - 2) + f"{i % 100:02}" for i in range(count)]
    frames = [engine.encode_frame(1, text, mask=True) for text in texts]
    return b"".join(frames), texts


def measure(
    benchmark: Any,
    receive: Callable[[bytes], list[Any]],
    script: str,
    size: int,
) -> None:
    data, texts = frames_of(script, size)
    assert receive(data) == texts
    benchmark.group = f"parse {script} {size} B x {len(texts)}"
    benchmark.extra_info.update(octets=len(data), messages=len(texts))
    benchmark(receive, data)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_messages(
    benchmark: Any, engine: SimpleNamespace, script: str, size: int
) -> None:
    parser = engine.MessageParser(client=False)
    measure(benchmark, parser.receive, script, size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_messages_websockets(benchmark: Any, script: str, size: int) -> None:
    pytest.importorskip("websockets")
    from websockets.frames import Frame
    from websockets.protocol import OPEN
    from websockets.server import ServerProtocol

    protocol = ServerProtocol(state=OPEN, max_size=None)

    def receive(data: bytes) -> list[Any]:
        protocol.receive_data(data)
        return [
            bytes(frame.data).decode()
            for frame in protocol.events_received()
            if isinstance(frame, Frame)
        ]

    measure(benchmark, receive, script, size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_messages_wsproto(benchmark: Any, script: str, size: int) -> None:
    pytest.importorskip("wsproto")
    from wsproto.connection import Connection, ConnectionType
    from wsproto.events import TextMessage

    connection = Connection(ConnectionType.SERVER)

    def receive(data: bytes) -> list[Any]:
        connection.receive_data(data)
        return [
            event.data
            for event in connection.events()
            if isinstance(event, TextMessage)
        ]

    measure(benchmark, receive, script, size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_messages_aiohttp(benchmark: Any, script: str, size: int) -> None:
    pytest.importorskip("aiohttp")
    from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
    from aiohttp.base_protocol import BaseProtocol

    loop = asyncio.new_event_loop()
    queue: Any = WebSocketDataQueue(BaseProtocol(loop), 1 << 30, loop=loop)
    reader = WebSocketReader(queue, 1 << 20, False, True)

    def receive(data: bytes) -> list[Any]:
        reader.feed_data(data)
        found = [message.data for message, _ in queue._buffer]
        queue._buffer.clear()
        return found

    measure(benchmark, receive, script, size)
    loop.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_messages_picows(benchmark: Any, script: str, size: int) -> None:
    picows = pytest.importorskip("picows")
    messages: list[str] = []

    class Collect(picows.WSListener):  # type: ignore[misc, name-defined]
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            messages.append(frame.get_payload_as_utf8_text())

    with picows_protocol(picows, Collect) as protocol:

        def receive(data: bytes) -> list[Any]:
            messages.clear()
            protocol.get_buffer(-1)[: len(data)] = data
            protocol.buffer_updated(len(data))
            return messages

        measure(benchmark, receive, script, size)


class NoTransport(asyncio.Transport):
    """A transport for a protocol that is fed by hand: it writes to nowhere."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"socket": sock, "peername": None, "sockname": None})

    def write(self, data: Any) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


@contextmanager
def picows_protocol(picows: Any, listener: Any) -> Iterator[Any]:
    """Open a server's connection of picows that has no socket to read from."""

    async def open_one() -> Any:
        protocol = picows.picows.WSProtocol(
            None,
            None,
            False,
            lambda request: listener(),
            logging.getLogger("picows"),
            True,
            None,
            False,
            20,
            20,
            picows.WSAutoPingStrategy.PING_WHEN_IDLE,
            True,
            1 << 20,
            None,
            4 * READ,
        )
        protocol.connection_made(NoTransport(sock))
        protocol.get_buffer(-1)[: len(REQUEST)] = REQUEST
        protocol.buffer_updated(len(REQUEST))
        return protocol

    loop = asyncio.new_event_loop()
    with socket.socket() as sock:
        yield loop.run_until_complete(open_one())
    loop.close()
