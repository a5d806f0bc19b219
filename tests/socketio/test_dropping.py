"""Clients that read slowly: whose events are dropped (L-6), and which."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.asgi.serving import Uvicorn
from tests.socketio.conftest import WAIT_S, until
from wsfast import socketio

LIMITS = {"max_send_buffer": 200_000, "write_limit": 10_000}


async def hear(raw):
    """Return the number of the next event, with its octets if it has some."""
    message = await raw.recv()
    if message[0] != "5":
        return json.loads(message[1:])[1]
    return json.loads(message[message.index("[") :])[1], await raw.recv()


@pytest.mark.parametrize("octets", [False, True], ids=["text", "octets"])
@pytest.mark.parametrize("overflow", ["drop_new", "drop_old"])
async def test_l6_events_for_many_are_dropped(place, overflow, octets):
    """Whole ones; what is for that client alone is not, and stays in its place."""
    sio = socketio.Server(overflow=overflow, **LIMITS)
    sio.on("echo", lambda sid, *args: args)
    await place.start(sio)
    slow, sid = await place.client()
    fast, _ = await place.client()
    slow.ws.pause_reading()
    padding = b"x" * 20_000 if octets else "x" * 20_000
    sent = 0
    socket = sio.socket(sid)
    while socket.dropped < 20:
        sio.emit("n", sent, padding)
        if sent % 5 == 0:
            sio.emit("own", -sent, to=sid)
        heard = await hear(fast)
        assert heard == ((sent, padding) if octets else sent)
        sent += 1
        assert sent < 5000
    assert socket.connected
    slow.ws.resume_reading()
    sio.emit("last", -sent, to=sid)
    got = []
    while not got or got[-1] != -sent:
        heard = await hear(slow)
        if octets and isinstance(heard, tuple):
            assert heard[1] == padding
            heard = heard[0]
        got.append(heard)
    events = [n for n in got if n > 0 or got.index(n) == 0]
    assert events == sorted(events)
    assert len(set(range(sent)) - set(events)) - socket.dropped in (0, 1)  # 0 is -0
    own = [-n for n in got if n < 0]
    assert own == [n for n in range(1, sent) if n % 5 == 0] + [sent]
    if overflow == "drop_new":
        assert sent - 1 not in events
    else:
        assert events[-1] == sent - 1
    assert await slow.call("echo", 1) == [1]
    sio.emit("n", 7, "all is well")
    assert await hear(slow) == 7


async def test_l6_what_is_not_dropped_ends_a_session(place):
    sio = socketio.Server(overflow="drop_old", **LIMITS)
    ended = []
    sio.on("disconnect", lambda sid, reason: ended.append(reason))
    await place.start(sio)
    slow, sid = await place.client()
    slow.ws.pause_reading()
    for _ in range(5000):
        sio.emit("own", "x" * 20_000, to=sid)
        await asyncio.sleep(0)
        if ended:
            break
    assert ended == ["transport error"]


async def test_l6_back_pressure_goes_on(place):
    sio = socketio.Server(overflow="drop_old", **LIMITS)
    await place.start(sio)
    slow, sid = await place.client()
    slow.ws.pause_reading()
    socket = sio.socket(sid)

    async def fill():
        for _ in range(300):
            await socket.emit("own", "x" * 20_000)

    filling = asyncio.ensure_future(fill())
    await until(lambda: socket.connection._outbox)
    await asyncio.sleep(0.01)
    assert not filling.done()
    assert socket.connected
    slow.ws.resume_reading()
    for _ in range(300):
        await slow.recv()
    await asyncio.wait_for(filling, WAIT_S)


async def test_l6_a_client_that_polls():
    sio = socketio.Server(overflow="drop_old", **LIMITS)
    sio.on("echo", lambda sid, *args: args)
    uvicorn = Uvicorn(True)
    async with uvicorn.stack:
        served = await uvicorn.serve(sio, timeout_graceful_shutdown=1)
        client = socketio.Client(transports=["polling"])
        got = []
        client.on("n", lambda n, padding: got.append(n))
        try:
            await client.connect(served.uri(scheme="http"))
            (socket,) = sio.of("/").sockets.values()
            for n in range(100):  # in one go: there is no poll in between
                sio.emit("n", n, "x" * 20_000)
            assert 80 < socket.dropped < 100
            assert await client.call("echo", 1) == 1
            await until(lambda: got and got[-1] == 99)
            assert len(got) == 100 - socket.dropped
            assert got == sorted(got)
        finally:
            await client.disconnect()
            await sio.close()


def test_what_overflow_may_be():
    with pytest.raises(ValueError, match="drop_old"):
        socketio.Server(overflow="drop")
