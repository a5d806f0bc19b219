"""Subjects of `bench.micro.gains`: websockets, tornado, aiohttp and ws4py."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from wsfast import engine

KEY = bytes.fromhex("37fa213d")
SIZES = {"64 B": 64, "1 KiB": 1 << 10, "64 KiB": 64 << 10}

#: A piece of work, for people, and what prepares it.
Work = tuple[str, Callable[[], Callable[[], Any]]]


def websockets() -> Iterator[Work]:
    """Yield what the protocol of websockets does for each message."""

    def receive(client: bool, size: int) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            module = import_module("websockets.protocol")
            made = module.Protocol(module.CLIENT if client else module.SERVER)
            octets = engine.encode_frame(2, bytes(size), mask=False if client else KEY)

            def work() -> Any:
                made.receive_data(octets)
                return [bytes(event.data) for event in made.events_received()]

            return work

        return prepare

    def send(client: bool, size: int) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            module = import_module("websockets.protocol")
            made = module.Protocol(module.CLIENT if client else module.SERVER)
            data = bytes(size)

            def work() -> Any:
                made.send_binary(data)
                return sum(map(len, made.data_to_send()))

            return work

        return prepare

    for told, size in SIZES.items():
        yield f"receive, server, {told}", receive(False, size)
        yield f"receive, client, {told}", receive(True, size)
        yield f"send, server, {told}", send(False, size)
        yield f"send, client, {told}", send(True, size)


class Echo:
    """What tornado's protocol wants of a handler; sends every message back."""

    protocol: Any = None

    def on_message(self, message: Any) -> None:
        self.protocol.write_message(message, binary=True)

    def on_ws_connection_close(self, code: Any = None, reason: Any = None) -> None:
        """Do nothing: there is nothing to clean up."""


class Connection:
    """A connection of tornado's over a pair of sockets, on a loop of its own."""

    def __init__(self, size: int, burst: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.octets = engine.encode_frame(2, bytes(size), mask=KEY) * burst
        self.expected = engine.encode_frame(2, bytes(size)) * burst
        self.loop.run_until_complete(self.open())

    async def open(self) -> None:
        websocket = import_module("tornado.websocket")
        near, self.far = socket.socketpair()
        self.far.setblocking(False)
        echo = Echo()
        params = websocket._WebSocketParams()
        made = websocket.WebSocketProtocol13(echo, False, params)
        made.stream = import_module("tornado.iostream").IOStream(near)
        echo.protocol = made
        self.running = self.loop.create_task(made._receive_frame_loop())

    async def echo(self) -> bool:
        await self.loop.sock_sendall(self.far, self.octets)
        got = b""
        while len(got) < len(self.expected):
            got += await self.loop.sock_recv(self.far, len(self.expected))
        return got == self.expected

    async def end(self) -> None:
        self.far.close()
        await self.running

    def __del__(self) -> None:
        self.loop.run_until_complete(self.end())
        self.loop.close()


def tornado() -> Iterator[Work]:
    """Yield what a connection of tornado does; the system's share is in it."""

    def echo(size: int, burst: int) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            made = Connection(size, burst)
            return lambda: made.loop.run_until_complete(made.echo())

        return prepare

    for told, size in SIZES.items():
        yield f"echo, {told}", echo(size, 1)
    yield "echo, 16 x 64 B", echo(64, 16)


class Transport:
    """A transport that counts."""

    count = 0

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.count += len(data)


def aiohttp() -> Iterator[Work]:
    """Yield what the writer of aiohttp's client, and any reader, does for a message."""

    def send(size: int) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            module = import_module("aiohttp._websocket.writer")
            transport = Transport()

            async def make() -> Any:
                return module.WebSocketWriter(
                    None, transport, use_mask=True, random=random.Random(1)
                )

            made = asyncio.run(make())
            data = bytes(size)

            def work() -> int:
                before = transport.count
                made._write_websocket_frame(data, 2, 0)
                return transport.count - before

            return work

        return prepare

    def receive(size: int) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            module = import_module("aiohttp._websocket.reader")
            protocol = import_module("aiohttp.base_protocol").BaseProtocol
            octets = engine.encode_frame(2, bytes(size), mask=KEY)

            async def make() -> Any:
                loop = asyncio.get_running_loop()
                queue = module.WebSocketDataQueue(protocol(loop), 1 << 20, loop=loop)
                return queue, module.WebSocketReader(queue, 1 << 20, False, True)

            queue, made = asyncio.run(make())

            def work() -> Any:
                made.feed_data(octets)
                try:
                    queue.read().send(None)
                except StopIteration as end:
                    return end.value.data
                raise AssertionError("the message is not whole")

            return work

        return prepare

    for told, size in SIZES.items():
        yield f"send, client, {told}", send(size)
    for told, size in SIZES.items():  # not replaced, so this is what a reader costs
        yield f"receive, server, {told}", receive(size)


def ws4py() -> Iterator[Work]:
    """Yield what ws4py does with the octets of a frame."""

    def mask(size: int) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            frame = import_module("ws4py.framing").Frame(masking_key=KEY)
            data = bytes(size)
            return lambda: frame.mask(data)

        return prepare

    def validate(size: int) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            made = import_module("ws4py.streaming").Utf8Validator()
            data = ("é" * (size // 2)).encode()

            def work() -> Any:
                made.reset()
                return made.validate(data)

            return work

        return prepare

    for told, size in SIZES.items():
        yield f"mask, {told}", mask(size)
        yield f"validate text, {told}", validate(size)


#: Target -> what yields its work.
MORE: dict[str, Callable[[], Iterator[Work]]] = {
    "aiohttp": aiohttp,
    "tornado": tornado,
    "websockets": websockets,
    "ws4py": ws4py,
}
