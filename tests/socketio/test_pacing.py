"""How many handlers run at a time, and what becomes of packets meanwhile."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.asgi.serving import Uvicorn
from tests.socketio.conftest import WAIT_S, until
from wsfast import socketio


class Work:
    """Handlers that wait to be let go, and note what happens."""

    def __init__(self, **options):
        self.sio = socketio.Server(namespaces=["/a"], **options)
        self.go_on = asyncio.Event()
        self.begun = []
        self.most = self.running = 0
        self.sio.on("work", self.work)
        self.sio.on("work", self.work, namespace="/a")
        self.sio.on("note", lambda sid, n: self.begun.append(n))

    async def work(self, sid, n):
        self.begun.append(n)
        self.running += 1
        self.most = max(self.most, self.running)
        await self.go_on.wait()
        await asyncio.sleep(0)
        self.running -= 1
        return n


@pytest.mark.parametrize("limit", [2, 3])
async def test_l1_handlers_of_a_connection_are_limited(place, limit):
    """Those of all its namespaces; others have a limit of their own."""
    work = Work(max_handlers=limit)
    await place.start(work.sio)
    (raw, _), (other, _) = await place.client(), await place.client()
    await raw.enter("/a")
    await raw.send('2["work",0]', *[f'2/a,["work",{n}]' for n in (1, 2)], '2["note",3]')
    await until(lambda: len(work.begun) == limit)
    await other.send('2["work",9]')
    await until(lambda: work.begun[-1] == 9)
    assert work.begun == [*range(limit), 9]
    work.go_on.set()
    await until(lambda: len(work.begun) == 5)
    assert [n for n in work.begun if n < 3] == [0, 1, 2]


async def test_no_limit_of_handlers(place):
    work = Work(max_handlers=None)
    await place.start(work.sio)
    raw, _ = await place.client()
    await raw.send(*[f'2["work",{n}]' for n in range(300)])
    await until(lambda: work.running == 300)
    work.go_on.set()


async def test_events_one_after_the_other(place):
    sio = socketio.Server(max_handlers=1)
    log = []

    @sio.event
    async def slow(sid, n):
        log.append(n)
        await asyncio.sleep(0.01 / (n + 1))
        log.append(-n)
        return n

    sio.on("quick", lambda sid, n: log.append(n))
    sio.on("disconnect", lambda sid, reason: log.append(reason))
    await place.start(sio)
    raw, _ = await place.client()
    await raw.send('2["slow",1]', '2["slow",2]', '2["quick",3]', '20["slow",4]', "1")
    await until(lambda: log[-1:] == ["client namespace disconnect"])
    assert log == [1, -1, 2, -2, 3, 4, -4, "client namespace disconnect"]
    assert await raw.recv() == "30[4]"


async def test_a_handler_may_ask_its_client_however_many_wait(place):
    sio = socketio.Server(max_handlers=1)

    @sio.event
    async def ask(sid, n):
        return await sio.call("question", n, to=sid, timeout=WAIT_S)

    await place.start(sio)
    raw, _ = await place.client()
    await raw.send(*[f'2{n}["ask",{n}]' for n in range(100)])
    for n in range(100):
        assert await raw.recv() == f'2{n}["question",{n}]'
        await raw.send(f"3{n}[{n * n}]")
        assert await raw.recv() == f"3{n}[{n * n}]"


@pytest.mark.parametrize("options", [{"max_queue": 5}, {"max_queue_size": 5 * 13}])
@pytest.mark.parametrize("transports", ["websocket", "polling"])
async def test_a_connection_with_too_much_to_do_is_not_read(options, transports):
    """Back-pressure: what the client has still to say waits at its end."""
    work = Work(max_handlers=1, **options)
    uvicorn = Uvicorn(True)
    async with uvicorn.stack:
        served = await uvicorn.serve(work.sio, timeout_graceful_shutdown=1)
        client = socketio.Client(transports=[transports])
        try:
            await client.connect(served.uri(scheme="http"))
            (socket,) = work.sio.of("/").sockets.values()
            for n in range(100):
                await client.emit("work", n + 10)
            await until(lambda: socket.connection.engine.paused)
            assert len(socket.connection._backlog) == 6  # of up to 13 octets
            await until(lambda: work.begun == [10])
            work.go_on.set()
            assert await client.call("work", 110) == 110
            assert work.begun == [*range(10, 111)]
            assert work.most == 1
            assert not socket.connection.engine.paused
        finally:
            await client.disconnect()
            await work.sio.close()


@pytest.mark.parametrize("transports", ["websocket", "polling"])
async def test_a_client_with_too_much_to_do_does_not_read(transports):
    """For as long as it takes; then all of it comes, in order."""
    sio = socketio.Server()
    uvicorn = Uvicorn(True)
    async with uvicorn.stack:
        served = await uvicorn.serve(sio, timeout_graceful_shutdown=1)
        client = socketio.Client(
            transports=[transports], max_handlers=2, max_queue=5, reconnection=False
        )
        go_on, begun, running = asyncio.Event(), [], []

        @client.event
        async def work(n):
            begun.append(n)
            running.append(n)
            assert len(running) <= 2
            await go_on.wait()
            running.remove(n)
            return n

        try:
            await client.connect(served.uri(scheme="http"))
            (socket,) = sio.of("/").sockets.values()
            for n in range(100):
                sio.emit("work", n)
            asking = asyncio.ensure_future(socket.call("work", 100, timeout=WAIT_S))
            engine = client.manager.engine
            await until(lambda: engine.paused)
            await until(lambda: begun == [0, 1])
            assert len(client.manager._link._backlog) == 6
            deadline = engine._deadline
            assert engine.on_timer(deadline + 1) > deadline  # no server is missed
            go_on.set()
            await until(lambda: not engine.paused)
            assert await asking == 100
            assert begun == [*range(101)]
        finally:
            go_on.set()
            await client.disconnect()
            await sio.close()


async def test_a_client_that_is_told_to_go_does(place):
    """However much it has to do yet, and though the connection ends at once."""
    sio = socketio.Server()
    await place.start(sio)
    go_on, reasons = asyncio.Event(), []
    async with socketio.Client(transports=["websocket"], max_handlers=1) as client:
        client.on("work", lambda n: go_on.wait())
        client.on("disconnect", reasons.append)
        await client.connect(place.url)
        for n in range(3):
            sio.emit("work", n)
        sio.of("/").disconnect_sockets(close=True)
        await asyncio.wait_for(client.wait(), WAIT_S)
        assert reasons == ["io server disconnect"]
        go_on.set()


async def test_attachments_count(place):
    work = Work(max_handlers=1, max_queue_size=1000)
    await place.start(work.sio)
    raw, sid = await place.client()
    await raw.send('2["work",1]')
    head = '52-["work",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    await raw.send(head, b"x" * 200, b"x" * 200)
    connection = work.sio.socket(sid).connection
    await until(lambda: connection._backlog)
    assert connection._backlog_size == len(head) + 400
    assert not connection.engine.paused
    await raw.send(head, b"x" * 400, b"x" * 100)
    await until(lambda: connection.engine.paused)
    work.go_on.set()
    await until(lambda: not connection.engine.paused)


async def test_packets_that_waited_in_vain_are_told_of(place, caplog):
    work = Work(max_handlers=1)
    await place.start(work.sio)
    raw, sid = await place.client()
    await raw.send(*[f'2["work",{n}]' for n in range(3)])
    connection = work.sio.socket(sid).connection
    await until(lambda: len(connection._backlog or ()) == 2)
    with caplog.at_level(logging.WARNING, "wsfast.socketio"):
        raw.ws.transport.abort()
        await until(lambda: not work.sio.of("/").sockets)
    assert "has gone before 2 of its packets" in caplog.text
    work.go_on.set()
    await until(lambda: not work.running)
    assert work.begun == [0]


async def test_middlewares_and_listeners_count(place):
    sio = socketio.Server(max_handlers=1)
    go_on, seen = asyncio.Event(), []

    @sio.event
    def connect(sid):
        @sio.socket(sid).use
        async def middleware(event, n):
            seen.append(n)
            await go_on.wait()

        @sio.socket(sid).on_any
        async def listener(event, n):
            seen.append(f"any {n}")

    @sio.event
    async def work(sid, n):
        seen.append(f"work {n}")

    await place.start(sio)
    raw, _ = await place.client()
    await raw.send('2["work",1]', '2["work",2]', '20["work",3]')
    await until(lambda: seen)
    assert seen == [1]
    go_on.set()
    assert await raw.recv() == "30[]"
    assert [x for x in seen if isinstance(x, int)] == [1, 2, 3]
    assert [x for x in seen if str(x).startswith("work")] == [
        "work 1",
        "work 2",
        "work 3",
    ]


async def test_l9_coming_and_going_is_limited(place):
    """CONNECT and DISCONNECT in turn, where letting in takes its time."""
    sio = socketio.Server(max_handlers=3)
    asked = []

    @sio.use
    async def middleware(socket):
        asked.append(socket)
        await asyncio.Event().wait()

    await place.start(sio)
    raw = await place.raw()
    await raw.send(*["0", "1"] * 50)
    await until(lambda: len(asked) == 3)
    await until(lambda: len(sio.tasks.running) == 3)
    assert len(asked) == 3


@pytest.mark.parametrize(
    "option", [{"max_handlers": 0}, {"max_queue": -1}, {"max_queue_size": -1}]
)
def test_limits_that_make_no_sense(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        socketio.Server(**option)
