"""The callback class, on both sides."""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.conftest import Pair
from tests.asyncio.raw import RawPeer, request
from wsfast import ConnectionClosed, Listener


class Journal(Listener):
    """Writes down what happens."""

    def __init__(self):
        self.events = []
        self.closed = asyncio.Event()

    def on_open(self, ws):
        self.ws = ws
        self.events.append(("open", ws.state.name))

    def on_message(self, ws, message):
        self.events.append(("message", message))

    def on_ping(self, ws, payload):
        self.events.append(("ping", payload))

    def on_pong(self, ws, payload):
        self.events.append(("pong", payload))

    def on_drain(self, ws):
        self.events.append(("drain", ws.buffered_amount))

    def on_close(self, ws, code, reason):
        assert ws is self.ws
        self.events.append(("close", code, reason))
        with pytest.raises(ConnectionClosed):
            ws.send("too late")
        self.closed.set()


async def wait_for(journal: Journal, count: int) -> None:
    for _ in range(500):
        if len(journal.events) >= count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(journal.events)


async def test_events_in_order(pair: Pair):
    journals = []

    class Server(Journal):
        def on_open(self, ws):
            journals.append(self)
            super().on_open(ws)

    server = await pair.serve(Server)
    ws = await pair.connect(server)
    await ws.send("text")
    await ws.send(b"binary")
    await (await ws.ping(b"are you there"))
    await ws.pong(b"unasked")
    await ws.send(["in ", "three ", "pieces"])
    await ws.close(4001, "done")
    (journal,) = journals
    await asyncio.wait_for(journal.closed.wait(), 5)
    assert journal.events == [
        ("open", "OPEN"),
        ("message", "text"),
        ("message", b"binary"),
        ("ping", b"are you there"),
        ("pong", b"unasked"),
        ("message", "in three pieces"),
        ("close", 4001, "done"),
    ]


async def test_client_side(pair: Pair):
    async def handler(ws):
        await ws.send("hello")
        await (await ws.ping(b"p"))
        await ws.send(await ws.recv())
        await ws.close(4002, "enough")

    journal = Journal()
    ws = await pair.connect(await pair.serve(handler), listener=journal)
    assert journal.ws is ws
    ws.send("from here")
    await asyncio.wait_for(journal.closed.wait(), 5)
    assert journal.events == [
        ("open", "OPEN"),
        ("message", "hello"),
        ("ping", b"p"),
        ("message", "from here"),
        ("close", 4002, "enough"),
    ]


@pytest.mark.parametrize("size", [10, 300_000])
async def test_what_a_client_says_first(pair: Pair, size):
    got = asyncio.get_running_loop().create_future()

    class Speaker(Listener):
        def on_open(self, ws):
            ws.send("x" * size)

        def on_message(self, ws, message):
            got.set_result(message)

    async def echo(ws):
        async for message in ws:
            ws.send(message)

    await pair.connect(await pair.serve(echo), listener=Speaker, compression=None)
    assert await asyncio.wait_for(got, 10) == "x" * size


async def test_each_connection_has_its_own(pair: Pair):
    made = []

    class Counted(Listener):
        def __init__(self):
            made.append(self)

        def on_message(self, ws, message):
            ws.send(str(made.index(self)))

    server = await pair.serve(Counted)
    clients = [await pair.connect(server) for _ in range(3)]
    for ws in clients:
        await ws.send("?")
    assert [await ws.recv() for ws in clients] == ["0", "1", "2"]


async def test_one_listener_for_all(pair: Pair):
    class Shared(Listener):
        def __init__(self):
            self.open = set()

        def on_open(self, ws):
            self.open.add(ws)

        def on_message(self, ws, message):
            for other in self.open:
                other.send(message)

        def on_close(self, ws, code, reason):
            self.open.discard(ws)

    shared = Shared()
    server = await pair.serve(shared)
    one, two = await pair.connect(server), await pair.connect(server)
    await one.send("to all")
    assert await one.recv() == await two.recv() == "to all"
    await one.close()
    await two.send("to myself")
    assert await two.recv() == "to myself"
    assert len(shared.open) == 1


async def test_no_task_for_a_listener(pair: Pair):
    class Echo(Listener):
        def on_message(self, ws, message):
            ws.send(str(len(asyncio.all_tasks())))

    server = await pair.serve(Echo)
    before = len(asyncio.all_tasks())
    ws = await pair.connect(server)
    await ws.send("how many?")
    assert int(await ws.recv()) == before


@pytest.mark.parametrize("end", ["reset", "eof", "bad frame", "abort"])
async def test_close_is_told_whatever_the_end(pair: Pair, end: str):
    journal = Journal()
    server = await pair.serve(journal, close_timeout=0.2)
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        await peer.head()
        await wait_for(journal, 1)
        if end == "reset":
            peer.writer.transport.abort()
        elif end == "eof":
            peer.writer.write_eof()
        elif end == "bad frame":
            peer.send(b"\xff" * 14)
        else:
            journal.ws.abort()
        await asyncio.wait_for(journal.closed.wait(), 5)
    assert journal.events[1:] == [("close", 1006, "")]


async def test_drain_is_told(pair: Pair):
    journal = Journal()
    server = await pair.serve(
        journal, write_limit=(10_000, 1000), max_send_buffer=None, compression=None
    )
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        await peer.head()
        await wait_for(journal, 1)
        for _ in range(300):
            journal.ws.send(bytes(100_000))
        assert journal.ws.buffered_amount > 10_000
        await asyncio.sleep(0.05)
        assert len(journal.events) == 1
        await asyncio.wait_for(peer.reader.readexactly(300 * 100_010), 20)
        await wait_for(journal, 2)
    (drain,) = journal.events[1:2]
    assert drain[0] == "drain"
    assert drain[1] <= 1000


async def test_failure_in_on_close_is_logged(pair: Pair, caplog):
    class Fail(Listener):
        def on_close(self, ws, code, reason):
            raise ZeroDivisionError

    server = await pair.serve(Fail)
    await (await pair.connect(server)).close()
    server.close()
    await asyncio.wait_for(server.wait_closed(), 5)
    assert "on_close failed" in caplog.text
