"""Messages of ASGI applications: sizes, order, back-pressure, keepalive, the ends."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from tests.asgi.apps import Recorder, echo, until
from tests.asgi.serving import Uvicorn
from tests.asyncio.conftest import LOCALHOST_PEM
from tests.asyncio.test_echo import MESSAGES
from wsfast import connect
from wsfast.asgi.uvicorn import WebSocketProtocol
from wsfast.asyncio import unix_connect


def path_of(app: Recorder) -> str:
    return app.scope["extensions"]["wsfast"]["connection"].statistics()["path"]


@pytest.mark.parametrize("deflate", [True, False])
async def test_what_is_sent_comes_back(uv: Uvicorn, deflate):
    served = await uv.serve(echo, ws_per_message_deflate=deflate)
    ws = await uv.connect(served)
    assert bool(ws.extensions) is deflate
    for message in MESSAGES:
        await ws.send(message)
        back = await asyncio.wait_for(ws.recv(), 20)
        assert type(back) is type(message)
        assert back == message


async def test_many_messages_keep_their_order(uv: Uvicorn):
    ws = await uv.connect(await uv.serve(echo))
    sent = [f"message {n}" * (n % 50) for n in range(2000)]

    async def send_all():
        for message in sent:
            await ws.send(message)

    sender = asyncio.ensure_future(send_all())
    assert [await asyncio.wait_for(ws.recv(), 20) for _ in sent] == sent
    await sender


async def test_the_path(uv: Uvicorn):
    app = Recorder()
    await uv.connect(await uv.serve(app))
    assert path_of(app) == ("reactor" if uv.reactor else "transport")


async def test_an_accept_and_a_greeting_go_together(uv: Uvicorn):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        for n in range(3):
            await send({"type": "websocket.send", "text": f"hello {n}"})
        await receive()

    ws = await uv.connect(await uv.serve(app))
    assert [await ws.recv() for _ in range(3)] == ["hello 0", "hello 1", "hello 2"]


async def test_early_octets_are_not_lost(uv: Uvicorn):
    """A client that does not wait for the answer is served all the same."""
    go = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        await go.wait()
        await send({"type": "websocket.accept"})
        event = await receive()
        await send({"type": "websocket.send", "text": event["text"]})

    served = await uv.serve(app)
    reader, writer = await asyncio.open_connection(*served.address)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    await until(lambda: served.state.tasks)
    writer.write(b"\x81\x82\0\0\0\0hi")
    await asyncio.sleep(0)
    go.set()
    assert (await reader.readline()).startswith(b"HTTP/1.1 101 ")
    await reader.readuntil(b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(4), 20) == b"\x81\x02hi"
    writer.close()
    await writer.wait_closed()


async def test_tls(uv: Uvicorn, client_tls: ssl.SSLContext):
    app = Recorder()
    served = await uv.serve(app, ssl_certfile=str(LOCALHOST_PEM))
    async with connect(served.uri(scheme="wss"), ssl=client_tls) as ws:
        assert app.scope["scheme"] == "wss"
        assert path_of(app) == "transport"
        for message in ("text", b"\0" * 300_000):
            await app.send(
                {"type": "websocket.send", "text": message}
                if isinstance(message, str)
                else {"type": "websocket.send", "bytes": message}
            )
            assert await asyncio.wait_for(ws.recv(), 20) == message
    assert (await app.finished())["code"] == 1000
    await until(lambda: not served.state.connections)


async def test_unix_socket(uv: Uvicorn, tmp_path):
    app = Recorder()
    path = str(tmp_path / "s")
    await uv.serve(app, uds=path)
    async with unix_connect(path, "ws://localhost/") as ws:
        assert app.scope["server"] == (path, None)
        assert path_of(app) == ("reactor" if uv.reactor else "transport")
        await app.send({"type": "websocket.send", "text": "by file"})
        assert await ws.recv() == "by file"
    assert (await app.finished())["code"] == 1000


async def test_a_message_over_the_limit(uv: Uvicorn):
    app = Recorder()
    ws = await uv.connect(await uv.serve(app, ws_max_size=1000), compression=None)
    await ws.send(b"x" * 1000)
    await ws.send(b"x" * 1001)
    event = await app.finished()
    assert event["code"] == 1009
    assert [len(e["bytes"]) for e in app.events[1:-1]] == [1000]
    await ws.wait_closed()
    assert ws.close_code == 1009


async def test_a_message_over_the_limit_once_inflated(uv: Uvicorn):
    app = Recorder()
    ws = await uv.connect(await uv.serve(app, ws_max_size=1000))
    await ws.send(b"x" * 1001)
    assert (await app.finished())["code"] == 1009
    assert len(app.events) == 2


async def test_back_pressure_on_the_client(uv: Uvicorn):
    """An application that does not receive has the client wait, after ws_max_queue."""
    go = asyncio.Event()
    got = 0

    async def app(scope, receive, send):
        nonlocal got
        await receive()
        await send({"type": "websocket.accept"})
        await go.wait()
        while (await receive())["type"] == "websocket.receive":
            got += 1

    served = await uv.serve(app, ws_max_queue=4)
    ws = await uv.connect(served, compression=None, max_send_buffer=None)
    (protocol,) = served.state.connections
    for _ in range(64):
        ws.send(b"x" * 500_000)  # not awaited: it is queued here
    await until(lambda: protocol.connection.queue_length() >= 1)
    await asyncio.sleep(0.2)
    assert protocol.connection.queue_length() <= 5
    assert ws.buffered_amount > 1_000_000
    go.set()
    await until(lambda: got == 64)


async def test_connections_share_a_budget(uv: Uvicorn):
    class Small(WebSocketProtocol):
        max_buffered = 100_000
        reactor = uv.reactor

    go = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await go.wait()
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": "taken"})

    served = await uv.serve(app, ws=Small)
    clients = [await uv.connect(served, compression=None) for _ in range(3)]
    protocols = list(served.state.connections)
    ledger = protocols[0].connection.options.ledger
    for ws in clients:
        await ws.send(b"x" * 50_000)
    await until(lambda: ledger.total == 150_000)
    go.set()
    for ws in clients:
        assert await ws.recv() == "taken"
    assert ledger.total == ledger.given_up == 0


async def test_back_pressure_on_the_application(uv: Uvicorn):
    """A client that does not read has ``send`` wait; when it leaves, that ends."""
    app = Recorder()
    served = await uv.serve(app, ws_per_message_deflate=False)
    ws = await uv.connect(served, max_queue=1)
    sent = 0

    async def flood():
        nonlocal sent
        while True:
            await app.send({"type": "websocket.send", "bytes": b"x" * 100_000})
            sent += 1

    flooding = asyncio.ensure_future(flood())
    before = -1
    while sent != before:  # until nothing moves any more
        before = sent
        await asyncio.sleep(0.2)
    (protocol,) = served.state.connections
    assert protocol.connection.buffered_amount < 300_000
    for _ in range(10):
        assert await asyncio.wait_for(ws.recv(), 20) == b"x" * 100_000
    await until(lambda: sent > before)
    ws.abort()
    with pytest.raises(ClientDisconnected):
        await asyncio.wait_for(flooding, 20)


async def test_what_was_sent_before_close_arrives(uv: Uvicorn):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        for _ in range(50):
            await send({"type": "websocket.send", "bytes": b"x" * 100_000})
        await send({"type": "websocket.close", "code": 4000})

    ws = await uv.connect(await uv.serve(app))
    messages = [m async for m in Until4000(ws)]
    assert [len(m) for m in messages] == [100_000] * 50
    assert ws.close_code == 4000


class Until4000:
    """Iterates over the messages up to the end, whatever its close code."""

    def __init__(self, ws):
        self.ws = ws

    async def __aiter__(self):
        with contextlib.suppress(Exception):
            while True:
                yield await self.ws.recv()


async def test_what_arrived_before_the_end_is_received(uv: Uvicorn):
    go = asyncio.Event()
    events = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await go.wait()
        while not events or events[-1]["type"] == "websocket.receive":
            events.append(await receive())

    served = await uv.serve(app)
    ws = await uv.connect(served)
    for n in range(3):
        await ws.send(str(n))
    await ws.close()
    go.set()
    await until(lambda: events and events[-1]["type"] == "websocket.disconnect")
    assert [e.get("text") for e in events[:-1]] == ["0", "1", "2"]
    assert events[-1]["code"] == 1000


async def test_what_comes_after_our_close_is_dropped(uv: Uvicorn):
    app = Recorder()
    served = await uv.serve(app)
    ws = await uv.connect(served)
    closed = asyncio.ensure_future(app.send({"type": "websocket.close", "code": 4000}))
    for _ in range(100):
        ws.send("too late")
    await closed
    assert (await app.finished())["code"] == 4000
    await ws.wait_closed()
    await until(lambda: not served.state.connections)


async def test_a_peer_that_does_not_answer_our_close(uv: Uvicorn):
    class Hasty(WebSocketProtocol):
        __slots__ = ()
        close_timeout = 0.2

    app = Recorder()
    served = await uv.serve(app, Hasty)
    reader, writer = await asyncio.open_connection(*served.address)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    await app.send({"type": "websocket.close"})
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 20) == b"\x88\x02\x03\xe8"
    await until(lambda: not served.state.connections)
    writer.close()
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        await writer.wait_closed()


async def test_keepalive_pings_and_measures(uv: Uvicorn):
    app = Recorder()
    await uv.connect(await uv.serve(app, ws_ping_interval=0.1, ws_ping_timeout=20))
    known = app.scope["extensions"]["wsfast"]["connection"]
    await until(lambda: known.latency > 0)
    assert known.statistics()["latency"] == known.latency
    assert not app.done.is_set()


async def test_keepalive_gives_up(uv: Uvicorn):
    app = Recorder()
    served = await uv.serve(app, ws_ping_interval=0.1, ws_ping_timeout=0.2)
    ws = await uv.connect(served, auto_pong=False, ping_interval=None)
    assert await app.finished() == {
        "type": "websocket.disconnect",
        "code": 1011,
        "reason": "keepalive ping timeout",
    }
    await ws.wait_closed()
    assert ws.close_code == 1011


async def test_the_application_pings(uv: Uvicorn):
    app = Recorder()
    ws = await uv.connect(await uv.serve(app, ws_ping_interval=None))
    known = app.scope["extensions"]["wsfast"]["connection"]
    assert known.latency == 0.0
    assert 0 < await asyncio.wait_for(known.ping(), 20) < 20
    assert known.latency > 0
    ws.abort()
    await app.finished()
    with pytest.raises(ClientDisconnected):
        await known.ping()


async def test_a_ping_that_is_never_answered(uv: Uvicorn):
    app = Recorder()
    ws = await uv.connect(await uv.serve(app), auto_pong=False)
    known = app.scope["extensions"]["wsfast"]["connection"]
    waiting = asyncio.ensure_future(known.ping(b"well?"))
    await asyncio.sleep(0)
    ws.abort()
    with pytest.raises(ClientDisconnected):
        await asyncio.wait_for(waiting, 20)


async def test_statistics(uv: Uvicorn):
    app = Recorder()
    ws = await uv.connect(await uv.serve(app))
    known = app.scope["extensions"]["wsfast"]["connection"]
    for n in range(3):
        await ws.send(str(n))
    await app.send({"type": "websocket.send", "text": "answer"})
    await until(lambda: known.statistics()["received"] == 3)
    found = known.statistics()
    assert found.pop("path") in ("reactor", "transport")
    found.pop("buffered")
    assert found == {
        "received": 3,
        "sent": 1,
        "waiting": 0,
        "latency": 0.0,
        "compressed": True,
    }


async def test_compression_of_one_message(uv: Uvicorn):
    app = Recorder()
    served = await uv.serve(app)
    reader, writer = await asyncio.open_connection(*served.address)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    event = {"type": "websocket.send", "text": "x" * 100}
    await app.send(event)
    first = await reader.readexactly(2)
    await reader.readexactly(first[1])
    await app.send({**event, "compress": False})
    second = await reader.readexactly(2)
    assert (first[0], second[0]) == (0xC1, 0x81)
    assert second[1] == 100
    writer.close()
    await writer.wait_closed()


async def test_receiving_can_be_cancelled_and_loses_nothing(uv: Uvicorn):
    events = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while not events or events[-1]["type"] == "websocket.receive":
            try:
                events.append(await asyncio.wait_for(receive(), 0.01))
            except asyncio.TimeoutError:  # noqa: PERF203
                await send({"type": "websocket.send", "text": "nothing"})

    ws = await uv.connect(await uv.serve(app))
    for n in range(20):
        assert await asyncio.wait_for(ws.recv(), 20) == "nothing"
        ws.send(str(n))
    await ws.close()
    await until(lambda: events and events[-1]["type"] == "websocket.disconnect")
    assert [e["text"] for e in events[:-1]] == [str(n) for n in range(20)]


async def test_two_tasks_that_receive_have_their_turns(uv: Uvicorn):
    events = []

    async def one(receive):
        while (event := await receive())["type"] == "websocket.receive":
            events.append(event["text"])

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        tasks = [asyncio.ensure_future(one(receive)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks.append(asyncio.ensure_future(one(receive)))
        tasks.pop(1).cancel()
        await asyncio.gather(*tasks)
        events.append("all")

    ws = await uv.connect(await uv.serve(app))
    for n in range(50):
        await ws.send(str(n))
    await ws.close()
    await until(lambda: events and events[-1] == "all")
    assert sorted(events[:-1], key=int) == [str(n) for n in range(50)]
