"""Messages that go to a server and back: coroutines, callbacks, sizes, compression."""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.conftest import Pair, uri
from tests.support import systems
from wsfast import (
    ConnectionClosedError,
    ConnectionClosedOK,
    DeflateOptions,
    Listener,
    Server,
)
from wsfast.asyncio import connect, serve

MESSAGES = [
    "",
    b"",
    "text",
    b"\x00\xff binary",
    "Grüße, 世界 🎉" * 20,
    "a" * 125,
    "b" * 126,
    "c" * 65535,
    bytes(range(256)) * 256,  # 65536 octets: the longest kind of header
    "d" * 1_000_000,
]


async def echo(ws):
    async for message in ws:
        await ws.send(message)


class Echo(Listener):
    def on_message(self, ws, message):
        ws.send(message)


@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize("handler", [echo, Echo])
async def test_what_is_sent_comes_back(pair: Pair, handler, compression):
    server = await pair.serve(handler, compression=compression)
    ws = await pair.connect(server)
    assert bool(ws.extensions) is (compression == "deflate")
    for message in MESSAGES:
        await ws.send(message)
        back = await asyncio.wait_for(ws.recv(), 10)
        assert type(back) is type(message)
        assert back == message


@pytest.mark.parametrize("handler", [echo, Echo])
async def test_many_messages_keep_their_order(pair: Pair, handler):
    ws = await pair.connect(await pair.serve(handler))
    sent = [f"message {n}" * (n % 50) for n in range(2000)]

    async def send():
        for message in sent:
            await ws.send(message)

    sending = asyncio.ensure_future(send())
    got = [await ws.recv() for _ in sent]
    await sending
    assert got == sent


async def test_clients_do_not_mix(pair: Pair):
    server = await pair.serve(echo)

    async def client(number: int) -> list[str]:
        ws = await pair.connect(server)
        for n in range(20):
            await ws.send(f"{number} {n}")
        return [await ws.recv() for _ in range(20)]

    results = await asyncio.gather(*(client(n) for n in range(50)))
    assert results == [[f"{number} {n}" for n in range(20)] for number in range(50)]


@pytest.mark.parametrize("no_takeover", [False, True])
async def test_compression_with_parameters(pair: Pair, no_takeover: bool):
    options = DeflateOptions(
        server_no_context_takeover=no_takeover,
        client_no_context_takeover=no_takeover,
        server_max_window_bits=9,
        threshold=0,
    )
    server = await pair.serve(echo, compression=options)
    ws = await pair.connect(server)
    (agreed,) = ws.extensions
    assert agreed.parameters.remote_max_window_bits == 9
    assert agreed.parameters.remote_no_context_takeover is no_takeover
    for n in range(100):
        await ws.send(f"the same message over and over, number {n}")
        assert await ws.recv() == f"the same message over and over, number {n}"


async def test_compress_can_be_chosen_for_each_message(pair: Pair):
    here, there = await pair.both()
    for compress in (True, False, None):
        await here.send("x" * 10_000, compress=compress)
        assert await there.recv() == "x" * 10_000


async def test_iteration_ends_with_a_normal_close_alone(pair: Pair):
    async def handler(ws):
        await ws.send("one")
        await ws.close(int(ws.request.path[1:]))

    server = await pair.serve(handler)
    ws = await pair.connect(server, "/1000")
    assert [message async for message in ws] == ["one"]
    with pytest.raises(ConnectionClosedOK):
        await ws.recv()

    ws = await pair.connect(server, "/4000")
    got = []
    with pytest.raises(ConnectionClosedError) as caught:
        async for message in ws:
            got.append(message)  # noqa: PERF401 - what came before the error counts
    assert got == ["one"]
    assert caught.value.code == 4000


async def test_tls(pair: Pair, server_tls, client_tls):
    server = await pair.serve(echo, ssl=server_tls)
    async with connect(uri(server, scheme="wss"), ssl=client_tls) as ws:
        for message in MESSAGES:
            await ws.send(message)
            assert await asyncio.wait_for(ws.recv(), 10) == message
        assert ws.transport.get_extra_info("cipher") is not None


async def test_an_untrusted_certificate_is_refused(pair: Pair, server_tls):
    server = await pair.serve(echo, ssl=server_tls)
    with pytest.raises(OSError, match=r"(?i)certificate"):
        await connect(uri(server, scheme="wss"))


@systems.unix_sockets
async def test_unix_socket(pair: Pair, tmp_path):
    path = tmp_path / "socket"
    server = await pair.serve(echo, unix_path=path)
    for address in (f"ws+unix:{path}:/chat?x=1", f"ws+unix:{path}"):
        async with connect(address, reactor=pair.reactor) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
    server.close()
    await server.wait_closed()
    assert not path.exists()


async def test_connections_are_where_they_say(pair: Pair):
    server = await pair.serve(echo)
    assert isinstance(server, Server)
    ws = await pair.connect(server, "/path?query=1")
    await ws.ping()
    (other,) = server.connections
    assert other.remote_address == ws.local_address
    assert ws.remote_address == other.local_address
    assert other.request.path == "/path?query=1"
    assert ws.response.status_code == 101
    assert other.id != ws.id


def test_a_loop_that_knows_no_readers():
    """As on Windows: the loop's own server and transports do it all."""

    class Loop(asyncio.SelectorEventLoop):
        def add_reader(self, fd, callback, *args):
            raise NotImplementedError

    async def main():
        async with serve(echo, "127.0.0.1", 0) as server, connect(uri(server)) as ws:
            (there,) = server.connections
            await ws.send("hello")
            assert await ws.recv() == "hello"
            return {type(end.transport).__name__ for end in (there, ws)}

    loop = Loop()
    try:
        assert loop.run_until_complete(main()) == {"StreamLink"}
    finally:
        loop.close()
