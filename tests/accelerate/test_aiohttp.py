"""aiohttp does with our parts what it does with its own."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.accelerate.peers import named, outcome, plugged

aiohttp = pytest.importorskip("aiohttp")

from aiohttp import web  # noqa: E402
from aiohttp._websocket import writer  # noqa: E402

KEY = bytes.fromhex("37fa213d")
WAIT_S = 30


class Transport:
    """What a writer wrote, in a row: how many pieces that were is of no consequence."""

    def __init__(self, closing):
        self.closing = closing
        self.octets = b""

    def is_closing(self):
        return self.closing

    def write(self, data):
        self.octets += bytes(data)


def written(message, opcode, rsv, use_mask, closing):
    """Return what a writer writes, raises and counts."""
    transport = Transport(closing)

    async def make():
        return writer.WebSocketWriter(
            None, transport, use_mask=use_mask, random=random.Random(1)
        )

    made = asyncio.run(make())
    result = outcome(made._write_websocket_frame, message, opcode, rsv)
    return result, transport.octets, made._output_size


MESSAGES = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=200).map(bytearray),
    st.binary(max_size=200).map(memoryview),
    st.sampled_from([b"x" * 65535, b"x" * 65536, b"x" * 16385]),
)


@given(
    message=MESSAGES,
    opcode=st.integers(0, 15) | st.sampled_from(list(aiohttp.WSMsgType)[:6]),
    rsv=st.sampled_from([0, 0, 0x40, 0x40, 0x20, 0x70]),
    use_mask=st.booleans(),
    closing=st.booleans(),
)
def test_any_frame(message, opcode, rsv, use_mask, closing):
    given_as = message, opcode, rsv, use_mask, closing
    expected = written(*given_as)
    with plugged("aiohttp"):
        assert written(*given_as) == expected


DATA = [b"", b"abc", bytearray(b"abcdefghi"), memoryview(bytearray(b"abc")), "x", None]
MASKS = [KEY, b"", bytearray(KEY), "abcd", None]


@pytest.mark.parametrize("data", DATA, ids=named)
@pytest.mark.parametrize("mask", MASKS, ids=named)
def test_mask_of_any_type(data, mask):
    def masked():
        copy = bytearray(data) if isinstance(data, bytearray) else data
        return outcome(writer.websocket_mask, mask, copy), copy

    expected = masked()
    with plugged("aiohttp"):
        assert masked() == expected


@given(data=st.binary(max_size=300), key=st.binary(min_size=4, max_size=4))
def test_mask_of_any_octets(data, key):
    expected, got = bytearray(data), bytearray(data)
    writer.websocket_mask(key, expected)
    with plugged("aiohttp"):
        assert writer.websocket_mask(key, got) is None
    assert got == expected


@pytest.mark.parametrize("compress", [0, 15])
async def test_between_a_client_and_a_server(compress):
    async def echo(request):
        ws = web.WebSocketResponse(compress=bool(compress))
        await ws.prepare(request)
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        return ws

    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    with plugged("aiohttp"):
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, compress=compress) as ws,
        ):
            await ws.send_str("é" * 40_000)
            assert await asyncio.wait_for(ws.receive_str(), WAIT_S) == "é" * 40_000
            await ws.send_bytes(bytes(300_000))
            assert await asyncio.wait_for(ws.receive_bytes(), WAIT_S) == bytes(300_000)
            await ws.ping(b"x" * 125)
            await ws.send_str("")
            assert await asyncio.wait_for(ws.receive_str(), WAIT_S) == ""
    await runner.cleanup()
