"""The change from polling to a WebSocket: the probe, the order, who may not."""

from __future__ import annotations

import asyncio

import pytest

import wsfast
from tests.engineio.conftest import WAIT_S, until


async def probe(place, sid):
    """Open a WebSocket for a session, up to the answer to its probe."""
    ws = await place.connect(place.target(sid, "websocket"))
    await ws.send("2probe")
    assert await place.recv(ws) == "3probe"
    return ws


async def test_upgrade(place):
    await place.start()
    sid = await place.open()
    polling = asyncio.ensure_future(place.poll(sid))
    await until(place.listener.socket, "is_polled")
    ws = await probe(place, sid)
    assert await asyncio.wait_for(polling, WAIT_S) == "6"
    assert place.listener.socket.upgrading
    place.listener.socket.send("meanwhile")  # waits: there is no poll
    await place.post(place.target(sid), b"4posted")
    await ws.send("5")
    await ws.send("4hello")
    got = [await place.recv(ws) for _ in range(3)]
    assert got == ["4meanwhile", "4posted", "4hello"]
    assert place.listener.events == ["open", "posted", "upgrade", "hello"]
    # HTTP is over, and so are other WebSockets; this one goes on.
    answer = await place.get(place.target(sid))
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    answer = await place.post(place.target(sid), b"4x")
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    second = await place.connect(place.target(sid, "websocket"))
    await place.closed(second)
    await ws.send(b"\1")
    assert await place.recv(ws) == b"\1"


async def test_poll_during_the_upgrade_is_let_go(place):
    await place.start()
    sid = await place.open()
    ws = await probe(place, sid)
    polling = asyncio.ensure_future(place.poll(sid))
    assert await asyncio.wait_for(polling, WAIT_S) == "6"
    polling = asyncio.ensure_future(place.poll(sid))
    await until(place.listener.socket, "is_polled")
    await ws.send("5")
    assert await asyncio.wait_for(polling, WAIT_S) == "6"
    await ws.send("4x")
    assert await place.recv(ws) == "4x"


@pytest.mark.parametrize("packet", ["4hello", "2", "5", b"2probe", "", "3probe"])
async def test_what_is_no_probe(place, packet):
    await place.start()
    sid = await place.open()
    ws = await place.connect(place.target(sid, "websocket"))
    await ws.send(packet)
    await place.closed(ws)
    await still_polls(place, sid)


async def test_what_is_no_upgrade(place):
    await place.start()
    sid = await place.open()
    ws = await probe(place, sid)
    await ws.send("4too soon")
    await place.closed(ws)
    await still_polls(place, sid)


async def still_polls(place, sid):
    """See that a session goes on, and may try again."""
    await until_not(place.listener.socket, "upgrading")
    await place.post(place.target(sid), b"4still")
    assert await place.poll(sid) == "4still"
    assert place.listener.events == ["open", "still"]
    ws = await probe(place, sid)
    await ws.send("5")
    await ws.send("4now")
    assert await place.recv(ws) == "4now"


async def until_not(thing, name):
    deadline = asyncio.get_running_loop().time() + WAIT_S
    while getattr(thing, name):
        assert asyncio.get_running_loop().time() < deadline, name
        await asyncio.sleep(0.001)


async def test_l3_second_websocket_while_one_is_tried(place):
    await place.start()
    sid = await place.open()
    ws = await probe(place, sid)
    second = await place.connect(place.target(sid, "websocket"))
    await second.send("5")
    await place.closed(second)
    await ws.send("5")
    await ws.send("4mine")
    assert await place.recv(ws) == "4mine"


async def test_upgrade_that_takes_too_long(place):
    await place.start(upgrade_timeout=0.05)
    sid = await place.open()
    ws = await place.connect(place.target(sid, "websocket"))
    await place.closed(ws)
    assert ws.close_code == 1008
    await still_polls_only(place, sid)


async def still_polls_only(place, sid):
    await place.post(place.target(sid), b"4still")
    assert await place.poll(sid) == "4still"


async def test_session_that_ends_meanwhile(place):
    await place.start()
    sid = await place.open()
    ws = await probe(place, sid)
    await place.post(place.target(sid), b"1")
    await place.closed(ws)
    assert await place.ended() == "transport close"
    assert place.server.sockets == {}


async def test_session_that_is_closed_meanwhile(place):
    await place.start()
    sid = await place.open()
    ws = await probe(place, sid)
    place.listener.socket.send("last")
    place.listener.socket.close()
    await ws.send("5")
    assert await place.recv(ws) == "4last"
    await place.closed(ws)
    assert await place.ended() == "forced close"


async def test_websocket_that_is_lost_meanwhile(place):
    await place.start()
    sid = await place.open()
    ws = await probe(place, sid)
    ws.abort()
    await until_not(place.listener.socket, "upgrading")
    await still_polls_only(place, sid)


async def test_l3_session_of_another_transport(place):
    """A session that began on a WebSocket is not to be had by polling."""
    await place.start()
    ws = await place.connect()
    await place.recv(ws)
    sid = place.listener.socket.id
    answer = await place.get(place.target(sid))
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    second = await place.connect(place.target(sid, "websocket"))
    await place.closed(second)
    await ws.send("4mine")
    assert await place.recv(ws) == "4mine"


async def test_l3_identifiers(reactor_place):
    server = await reactor_place.start()
    ids = {server.generate_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(each) for each in ids} == {22}  # 128 bits, six a character


async def test_no_upgrade_where_there_is_none(reactor_place):
    await reactor_place.start(transports=["polling"])
    sid = await reactor_place.open()
    with pytest.raises(wsfast.InvalidStatus):
        await reactor_place.connect(reactor_place.target(sid, "websocket"))
