"""Extensions that an application brings, over both kinds of links."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.asyncio.conftest import Pair, uri
from tests.protocol.sample_extensions import MarkedFactory
from wsfast import Listener, Prepared, broadcast, connect
from wsfast.exceptions import ConnectionClosedError, NegotiationError
from wsfast.protocol import Chain, DeflateOptions

BOTH = pytest.mark.parametrize(
    "compression", [None, DeflateOptions(threshold=10)], ids=["plain", "deflate"]
)


@BOTH
async def test_both_ends(pair: Pair, compression: Any):
    here, there = await pair.both(extensions=[MarkedFactory()], compression=compression)
    names = ["mark"] if compression is None else ["mark", "permessage-deflate"]
    for ws in (here, there):
        assert [extension.name for extension in ws.extensions] == names
        assert "mark; level=3" in ws.response.headers["Sec-WebSocket-Extensions"]
    for one, other in (here, there), (there, here):
        for size in (0, 5, 1000, 300_000):
            await one.send("é" * size)
            assert await other.recv() == "é" * size
            await one.send(b"\xff" * size)
            assert await other.recv() == b"\xff" * size
        await one.send(["frag", "ment", "s"])
        parts = [part async for part in other.recv_streaming()]
        assert "".join(parts) == "fragments"
        assert len(parts) == 4
        assert await (await one.ping()) >= 0
    await there.close(3456, "so long")
    await here.wait_closed()
    assert (here.close_code, here.close_reason) == (3456, "so long")


@BOTH
async def test_many_messages_at_once(pair: Pair, compression: Any):
    here, there = await pair.both(
        extensions=[MarkedFactory()],
        compression=compression,
        max_queue=8,
        max_send_buffer=None,
    )
    count = 3000
    messages = [f"message {n}" for n in range(count)]
    sending = asyncio.ensure_future(there.send_many(messages))
    assert [await here.recv() for _ in range(count)] == messages
    await sending


async def test_server_that_has_none(pair: Pair):
    async def handler(ws: Any) -> None:
        await ws.send(await ws.recv())

    server = await pair.serve(handler)
    ws = await pair.connect(server, extensions=[MarkedFactory()])
    assert [extension.name for extension in ws.extensions] == ["permessage-deflate"]
    await ws.send("as ever")
    assert await ws.recv() == "as ever"


async def test_client_that_has_none(pair: Pair):
    async def handler(ws: Any) -> None:
        await ws.send(str([extension.name for extension in ws.extensions]))

    server = await pair.serve(handler, extensions=[MarkedFactory()], compression=None)
    ws = await pair.connect(server)
    assert await ws.recv() == "[]"
    assert ws.extensions == []


async def test_one_that_the_client_did_not_offer(pair: Pair):
    async def handler(ws: Any) -> None:
        await ws.wait_closed()

    def process_response(connection, request, response):
        response.headers["Sec-WebSocket-Extensions"] = "bite"

    server = await pair.serve(
        handler, process_response=process_response, compression=None
    )
    with pytest.raises(NegotiationError, match="Unsupported extension: name = bite"):
        await connect(uri(server), extensions=[MarkedFactory()])


@BOTH
async def test_broadcast_and_prepared(pair: Pair, compression: Any):
    here, there = await pair.both(extensions=[MarkedFactory()], compression=compression)
    plain = await pair.connect(here.server, compression=compression)
    for message in ("to all of you", b"octets"):
        broadcast(here.server.connections, message)
        assert await there.recv() == message
        assert await plain.recv() == message
    prepared = Prepared("prepared for you")
    prepared.send_to(here)
    assert await there.recv() == "prepared for you"


async def test_listeners(pair: Pair):
    class Echo(Listener):
        def on_message(self, ws, message):
            ws.send(message)

    server = await pair.serve(Echo, extensions=[MarkedFactory()])
    ws = await pair.connect(server, extensions=[MarkedFactory()])
    assert isinstance(ws.deflate, Chain)
    for _ in range(3):
        await ws.send("echo")
        assert await ws.recv() == "echo"


async def test_encode_that_fails(pair: Pair):
    here, there = await pair.both(extensions=[MarkedFactory()], compression=None)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the mark is lost"):
            await there.send("spoil")
    await there.close(1011)
    with pytest.raises(ConnectionClosedError) as info:
        await here.recv()
    assert info.value.rcvd.code == 1011


async def test_failing_negotiation_of_an_application(
    pair: Pair, caplog: pytest.LogCaptureFixture
):
    class Bad(MarkedFactory):
        def process_request_params(self, params, accepted_extensions):
            raise KeyError("oh")

    async def handler(ws: Any) -> None:
        await ws.wait_closed()

    server = await pair.serve(handler, extensions=[Bad()])
    with pytest.raises(Exception, match="HTTP 500"):
        await connect(uri(server), extensions=[MarkedFactory()])
    assert any("failed" in message for message in caplog.messages)
