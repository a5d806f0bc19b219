"""What a peer can have TLS do in the reactor, how often, and for how long."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import time

import pytest

from tests.asyncio.conftest import LOCALHOST_PEM, Pair, only_reactor
from tests.asyncio.test_tls import (
    HELLO,
    REQUEST,
    Slow,
    check_alive,
    client_context,
    direct,
    echo,
    in_thread,
    server_context,
)
from tests.asyncio.wire import until
from tests.support.openssl import new_key
from wsfast import InvalidStatus
from wsfast.asyncio import connect, serve

__all__ = ["direct"]  # a fixture

KEYS = 8000


@only_reactor
async def test_many_new_keys_take_several_passes(pair: Pair, direct):
    """Each costs far more than its 27 octets: others have their turn in between."""
    server = await pair.serve(echo, ssl=server_context())
    port = server.sockets[0].getsockname()[1]

    def begin():
        peer = Slow(port)
        peer.tls.write(REQUEST)
        peer.send()
        peer.read_until(b"\r\n\r\n")
        for _ in range(KEYS):
            new_key(peer.tls, answered=False)
        peer.tls.write(HELLO)
        return peer

    peer = await in_thread(begin)
    turns = []
    with peer.sock:
        reply = asyncio.ensure_future(
            in_thread(lambda: (peer.send(), peer.read_until(b"\x81\x05hello")))
        )
        while not reply.done():
            began = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - began)
        await reply
    assert max(turns) < sum(turns) / 2


async def test_clients_in_their_tls_handshake_are_pending(pair: Pair):
    server = await pair.serve(
        echo, ssl=server_context(), max_pending_handshakes=3, open_timeout=60
    )
    _, port = server.sockets[0].getsockname()
    silent = []
    async with contextlib.AsyncExitStack() as stack:
        for n in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            silent.append(reader)
            await until(lambda n=n: len(server._listening.shaking) == min(n + 1, 3))
        for reader in silent[:2]:  # those that came first were cut
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 10) == b""
        await check_alive(server)  # one more has come, and the next of them was cut
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(silent[2].read(), 10) == b""
        assert not silent[4].at_eof()


async def test_clients_in_their_tls_handshake_count(pair: Pair):
    server = await pair.serve(echo, ssl=server_context(), max_connections=3)
    _, port = server.sockets[0].getsockname()
    shaking = server._listening.shaking
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
        await until(lambda: len(shaking) == 3)
        with pytest.raises(InvalidStatus) as caught:
            await check_alive(server)
        assert caught.value.response.status_code == 503
    await until(lambda: len(shaking) == 0)
    await check_alive(server)


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("timeout", [0, -1])
def test_timeouts_that_are_none(name: str, timeout: int):
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        serve(echo, "127.0.0.1", 0, ssl=server_context(), **{name: timeout})


@pytest.mark.needs("openssl")
@only_reactor
async def test_a_server_that_renegotiates(pair: Pair, direct):
    """With TLS 1.2 its client goes along, whatever it is sending meanwhile."""
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_2"),
        *("-cert", str(LOCALHOST_PEM), "-key", str(LOCALHOST_PEM)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = bytearray()

    async def find(pattern: bytes) -> bytes:
        while not (found := re.search(pattern, said)):
            octets = await asyncio.wait_for(process.stdout.read(65536), 20)
            assert octets, bytes(said)
            said.extend(octets)
        return found[1]

    port = int(await find(rb"ACCEPT 127\.0\.0\.1:(\d+)\n"))
    opening = connect(
        f"wss://127.0.0.1:{port}/",
        ssl=client_context(),
        compression=None,
        mask="zero",
    )
    opened = asyncio.ensure_future(opening.__aenter__())
    key = await find(rb"Sec-WebSocket-Key: (\S+)\r\n")
    accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    process.stdin.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
        % base64.b64encode(accept)
    )
    ws = await asyncio.wait_for(opened, 10)
    try:
        for turn in range(3):
            said.clear()
            process.stdin.write(b"r\n")
            for n in range(200):
                await ws.send(f"<{turn} {n}>")
                await asyncio.sleep(0)
            await find(rb"(SSL_do_handshake -> 1)")
            await find(rb"(<%d 199>)" % turn)
            assert [int(n) for n in re.findall(rb"<%d (\d+)>" % turn, said)] == [
                *range(200)
            ]
            process.stdin.write(b"\x81\x05hello")
            assert await asyncio.wait_for(ws.recv(), 10) == "hello"
    finally:
        ws.abort()
        process.kill()
        await process.wait()
