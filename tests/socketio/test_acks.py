"""Acknowledgements that do not come: they are bounded, and told of."""

from __future__ import annotations

import asyncio

import pytest

from tests.socketio.conftest import WAIT_S, until
from wsfast import socketio


@pytest.fixture
async def one(place):
    """Return a server, a client that answers by hand, and its id."""
    sio = socketio.Server(max_acks=3)
    await place.start(sio)
    raw, sid = await place.client()
    return sio, raw, sid


async def test_l1_acknowledgements_of_one_client_are_limited(one, caplog):
    sio, raw, sid = one
    asked = [
        asyncio.ensure_future(sio.call("q", n, to=sid, timeout=None)) for n in range(3)
    ]
    await until(lambda: len(sio.socket(sid)._acks or ()) == 3)
    got = []
    sio.emit("q", 3, to=sid, callback=got.append)
    with pytest.raises(socketio.AckTimeout, match="more than 3"):
        await asked[0]
    many = asyncio.ensure_future(sio.emit_with_ack("all", timeout=None))
    with pytest.raises(socketio.AckTimeout, match="more than 3"):
        await asked[1]
    for n in (4, 5):
        sio.emit("q", n, to=sid, callback=got.append)
    with pytest.raises(socketio.AckTimeout, match="more than 3"):
        await asked[2]
    assert caplog.text.count("more than 3") == 4
    assert not many.done()
    sio.emit("q", 6, to=sid, callback=got.append)  # for that, `many` is given up
    sio.emit("q", 7, to=sid, callback=got.append)
    assert await many == []  # as if that client had gone
    for n in range(9):
        await raw.send(f"3{n}[{n}]")
    await until(lambda: len(got) == 3)
    assert got == [6, 7, 8]
    assert not sio.socket(sid)._acks


async def test_no_limit_of_acknowledgements(place):
    sio = socketio.Server(max_acks=None)
    await place.start(sio)
    _, sid = await place.client()
    for n in range(1001):
        sio.emit("q", n, to=sid, callback=lambda: None)
    assert len(sio.socket(sid)._acks) == 1001


async def test_callbacks_with_a_time_limit(one):
    sio, raw, sid = one
    got = []

    async def later(*args):
        await asyncio.sleep(0)
        got.append(args)

    sio.emit("q", to=sid, callback=lambda *args: got.append(args), timeout=WAIT_S)
    await raw.send('30["a","b"]')
    await until(lambda: got == [(None, "a", "b")])
    sio.emit("q", to=sid, callback=later, timeout=0.01)
    await until(lambda: len(got) == 2)
    assert isinstance(got[1][0], socketio.AckTimeout)
    assert not sio.socket(sid)._acks
    sio.socket(sid).emit("q", callback=later, timeout=WAIT_S)
    raw.ws.transport.abort()
    await until(lambda: len(got) == 3)
    assert isinstance(got[2][0], socketio.Disconnected)
    for to in ("room", None, sid):  # it has gone
        with pytest.raises(ValueError, match="one client"):
            sio.emit("q", to=to, callback=later, timeout=1)


async def test_nothing_is_expected_of_what_was_not_sent(one, monkeypatch):
    sio, _, sid = one
    socket = sio.socket(sid)
    with pytest.raises(TypeError):
        socket.emit("q", object(), callback=print)
    with pytest.raises(TypeError):
        socket.emit("q", object(), callback=print, timeout=0.001)
    await asyncio.sleep(0.01)
    monkeypatch.setattr(type(socket), "writable", False)
    socket.emit("q", volatile=True, callback=print)
    assert not socket._acks


@pytest.mark.parametrize("option", [{"max_acks": 0}])
def test_limits_that_make_no_sense(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        socketio.Server(**option)
