"""
TLS cut off at each record, towards a server: it ends that client and harms no other.

The client is OpenSSL with its octets in memory, so that the test decides how many of
them are sent. Cuts are at the ends of all records, in their headers and amid them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from tests.asyncio.conftest import Pair
from tests.asyncio.raw import request
from tests.asyncio.test_cancel_steps import descriptors_now
from tests.asyncio.wire import CLOSE, TEXT, linger_zero, until
from wsfast import Listener, engine
from wsfast.asyncio import connect

WAIT_S = 30
MESSAGES = ["first", "second " * 500]


class Heard:
    """What the server's application hears of its clients."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget it."""
        self.opened = 0
        self.got: list[Any] = []
        self.codes: list[int] = []

    def listener(self) -> type[Listener]:
        """Return the application."""
        heard = self

        class Echo(Listener):
            def on_open(self, ws: Any) -> None:
                heard.opened += 1

            def on_message(self, ws: Any, message: Any) -> None:
                heard.got.append(message)
                ws.send(message)

            def on_close(self, ws: Any, code: int, reason: str) -> None:
                heard.codes.append(code)

        return Echo


class Client:
    """
    A client that sends so many octets of what it has to send.

    Args:
        context: Its TLS.
        sock: Connected to the server.
        limit: Octets that it sends.

    Attributes:
        sent: What TLS made of all it had to say.

    """

    def __init__(
        self, context: ssl.SSLContext, sock: socket.socket, limit: int
    ) -> None:
        self.sock, self.limit = sock, limit
        self.sent = b""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        self._frames = engine.FrameParser(client=True, max_size=None)

    async def call(self, method: Callable[..., Any], *args: Any) -> Any:
        """Call a method of TLS until it has what it needs; EOFError once cut."""
        loop = asyncio.get_running_loop()
        while True:
            waits, result = False, None
            try:
                result = method(*args)
            except ssl.SSLWantReadError:
                waits = True
            data = self._out.read()
            room = max(0, self.limit - len(self.sent))
            self.sent += data
            await loop.sock_sendall(self.sock, data[:room])
            if len(self.sent) > self.limit:
                raise EOFError
            if not waits:
                return result
            data = await asyncio.wait_for(loop.sock_recv(self.sock, 65536), WAIT_S)
            if data:
                self._in.write(data)
            else:
                self._in.write_eof()

    async def frame(self) -> engine.Frame:
        """Return the next frame of the server."""
        while not (frames := self._frames.feed(await self.read())):
            pass
        return frames[0]

    async def read(self) -> bytes:
        """Return octets that the server has sent."""
        data: bytes = await self.call(self._tls.read, 65536)
        if not data:
            raise AssertionError("the server has ended the stream")
        return data

    async def talk(self) -> None:
        """Shake hands, say each message and hear it, and close."""
        await self.call(self._tls.do_handshake)
        await self.call(self._tls.write, request())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await self.read()
        for message in MESSAGES:
            octets = engine.encode_frame(TEXT, message.encode(), mask=True)
            await self.call(self._tls.write, octets)
            assert (await self.frame()).payload == message.encode()
        octets = engine.encode_frame(CLOSE, b"\x03\xe8", mask=True)
        await self.call(self._tls.write, octets)
        assert (await self.frame()).opcode == CLOSE


def places(sent: bytes) -> list[int]:
    """Return where to cut: for each record its end, its header, its middle."""
    found, begin = {0}, 0
    while begin < len(sent):
        size = 5 + int.from_bytes(sent[begin + 3 : begin + 5], "big")
        found |= {begin + 1, begin + 5, begin + size // 2, begin + size - 1}
        found.add(begin + size)
        begin += size
    return sorted(found - {len(sent)})


@pytest.mark.parametrize("how", ["eof", "reset"])
async def test_c5_cut_at_each_record(
    pair: Pair, how: str, server_tls, client_tls, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "wsfast")
    heard = Heard()
    server = await pair.serve(heard.listener(), ssl=server_tls, close_timeout=WAIT_S)
    port = server.sockets[0].getsockname()[1]
    other = await connect(
        f"wss://localhost:{port}/", ssl=client_tls, reactor=pair.reactor, proxy=None
    )
    heard.clear()

    async def run(limit: int) -> bytes:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        with contextlib.closing(sock):
            client = Client(client_tls, sock, limit)
            with contextlib.suppress(EOFError):
                await client.talk()
            if how == "reset":
                linger_zero(sock)
        return client.sent

    whole = await run(1 << 30)
    await until(lambda: heard.codes, WAIT_S)
    assert (heard.got, heard.codes) == (MESSAGES, [1000])
    before = []  # from the first cut on
    for limit in places(whole):
        heard.clear()
        caplog.clear()
        await run(limit)
        await other.send("still there?")
        assert await asyncio.wait_for(other.recv(), WAIT_S) == "still there?"
        await until(lambda: len(heard.codes) == heard.opened, WAIT_S)
        await until(lambda: len(server.connections) == 1, WAIT_S)
        heard.got.remove("still there?")
        assert heard.got == MESSAGES[: len(heard.got)]
        assert heard.codes in ([], [1006]), limit
        assert not [r for r in caplog.records if r.exc_info or r.levelno > 20], limit
        before.append(descriptors_now())
        await until(lambda: descriptors_now() <= before[0], WAIT_S)
    await other.close()
