"""The rules of Engine.IO 4, one by one, as the specification's own tests have them."""

from __future__ import annotations

import asyncio
import json

import pytest

import wsfast
from tests.engineio.conftest import WAIT_S, until

SEPARATOR = "\x1e"


def code_of(answer):
    """Return the code of an error reply."""
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert set(told) == {"code", "message"}
    return told["code"], told["message"]


# ---- handshake ----


async def test_handshake_by_polling(reactor_place):
    await reactor_place.start(ping_interval=0.3, ping_timeout=0.2)
    answer = await reactor_place.get(reactor_place.target())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text[0] == "0"
    told = json.loads(answer.text[1:])
    assert len(told.pop("sid")) >= 22  # 128 bits
    assert told == {
        "upgrades": ["websocket"],
        "pingInterval": 300,
        "pingTimeout": 200,
        "maxPayload": 1_000_000,
    }


async def test_handshake_by_websocket(place):
    await place.start()
    ws = await place.connect()
    packet = await place.recv(ws)
    assert packet[0] == "0"
    assert json.loads(packet[1:])["upgrades"] == []


async def test_no_upgrades_where_there_are_none(reactor_place):
    await reactor_place.start(transports=["polling"])
    answer = await reactor_place.get(reactor_place.target())
    assert json.loads(answer.text[1:])["upgrades"] == []
    answer = await reactor_place.get(reactor_place.target("", "websocket"))
    assert code_of(answer) == (0, "Transport unknown")


ERRORS = [
    ("GET", "/engine.io/?EIO=4", 0, "Transport unknown"),
    ("GET", "/engine.io/?EIO=4&transport=abc", 0, "Transport unknown"),
    ("GET", "/engine.io/?EIO=4&transport=polling&sid=x", 1, "Session ID unknown"),
    ("POST", "/engine.io/?EIO=4&transport=polling&sid=x", 1, "Session ID unknown"),
    ("POST", "/engine.io/?EIO=4&transport=polling", 2, "Bad handshake method"),
    ("PUT", "/engine.io/?EIO=4&transport=polling", 2, "Bad handshake method"),
    ("GET", "/engine.io/?EIO=4&transport=websocket", 3, "Bad request"),
    ("GET", "/engine.io/?transport=polling", 5, "Unsupported protocol version"),
    ("GET", "/engine.io?EIO=3&transport=polling", 5, "Unsupported protocol version"),
]


async def test_error_replies(reactor_place):
    told = []
    await reactor_place.start(
        on_connection_error=lambda request, code, message, context: told.append(
            (request.method, code, message)
        )
    )
    for method, target, code, message in ERRORS:
        answer = await reactor_place.http.request(method, target)
        assert answer.status_code == 400, target
        assert code_of(answer) == (code, message), target
        assert told.pop() == (method, code, message)
    sid = await reactor_place.open()
    for target in (
        f"/engine.io/?EIO=4&transport=websocket&sid={sid}",  # another transport
        f"/engine.io/?EIO=3&transport=polling&sid={sid}",  # another revision
    ):
        assert code_of(await reactor_place.get(target)) == (3, "Bad request")
    answer = await reactor_place.http.request("PUT", reactor_place.target(sid))
    assert answer.status_code == 405
    answer = await reactor_place.get("/elsewhere")
    assert answer.status_code == 404


REFUSED = [
    "/engine.io/?EIO=4",
    "/engine.io/?EIO=4&transport=abc",
    "/engine.io/?EIO=4&transport=polling",
    "/engine.io/?EIO=abc&transport=websocket",
    "/engine.io/?EIO=4&transport=websocket&sid=x",
    "/elsewhere?EIO=4&transport=websocket",
]


@pytest.mark.parametrize("alone", [False, True], ids=["asgi", "alone"])
async def test_refused_websockets(place, alone):
    if alone and place.host == "events":
        return  # there is no other server
    await (place.start_alone() if alone else place.start())
    for target in REFUSED:
        with pytest.raises(wsfast.InvalidStatus) as caught:
            await place.connect(target)
        status = caught.value.response.status_code
        assert status in ((403, 404) if "elsewhere" in target else (400,)), target


@pytest.mark.parametrize("verdict", [False, None, "not today"])
async def test_forbidden(place, verdict):
    async def allow(request):
        await asyncio.sleep(0)
        return verdict

    await place.start(allow_request=allow)
    answer = await place.get(place.target())
    assert answer.status_code == 403
    assert code_of(answer) == (4, verdict or "Forbidden")
    with pytest.raises(wsfast.InvalidStatus) as caught:
        await place.connect()
    assert caught.value.response.body == (verdict or "Forbidden").encode()


# ---- messages ----


async def test_polling_text_and_octets(reactor_place):
    await reactor_place.start()
    sid = await reactor_place.open()
    target = reactor_place.target(sid)
    body = SEPARATOR.join(["4hello", "bAQIDBA==", "4é€\N{GRINNING FACE}", "4"])
    answer = await reactor_place.post(target, body.encode())
    assert (answer.status_code, answer.text) == (200, "ok")
    assert await reactor_place.poll(sid) == body
    polling = asyncio.ensure_future(reactor_place.poll(sid))
    await until(reactor_place.listener.socket, "is_polled")
    assert reactor_place.listener.socket.writable
    await reactor_place.post(target, b"4later")
    assert await polling == "4later"
    assert not reactor_place.listener.socket.writable


@pytest.mark.parametrize("alone", [False, True], ids=["asgi", "alone"])
async def test_websocket_text_and_octets(place, alone):
    if alone and place.host == "events":
        return
    await (place.start_alone() if alone else place.start())
    ws = await place.connect()
    await place.recv(ws)
    for message in ("4hello", b"\1\2\3", "4", "4é\x1e€", b"", "6", "0", "5", "4end"):
        await ws.send(message)
        if message not in ("6", "0", "5"):  # those are nothing here
            assert await place.recv(ws) == message
    assert place.listener.socket.transport == "websocket"
    await ws.close()
    assert await place.ended() == "transport close"


BAD_BODIES = [b"abc", b"", b"7", b"4a\x1e", b"bAQI", b"b\xc3\xa9", b"4\xff", b"2"]


@pytest.mark.parametrize("body", BAD_BODIES)
async def test_bad_payload_ends_the_session(reactor_place, body):
    await reactor_place.start()
    sid = await reactor_place.open()
    answer = await reactor_place.post(reactor_place.target(sid), body)
    reason = await reactor_place.ended()
    if body == b"2":  # a packet, but not a client's
        assert (answer.status_code, reason) == (200, "transport error")
    else:
        assert (answer.status_code, reason) == (400, "parse error")
    assert code_of(await reactor_place.get(reactor_place.target(sid)))[0] == 1


@pytest.mark.parametrize("packet", ["abc", "", "2", "7"])
async def test_bad_packet_ends_the_session(place, packet):
    await place.start()
    ws = await place.connect()
    await place.recv(ws)
    await ws.send(packet)
    await place.closed(ws)
    expected = "transport error" if packet == "2" else "parse error"
    assert await place.ended() == expected


async def test_octets_as_a_body(reactor_place):
    await reactor_place.start()
    sid = await reactor_place.open()
    answer = await reactor_place.post(
        reactor_place.target(sid),
        b"4x",
        headers={"content-type": "application/octet-stream"},
    )
    assert answer.status_code == 400
    assert await reactor_place.ended() == "transport error"


async def test_separator_cannot_be_polled(reactor_place):
    await reactor_place.start()
    await reactor_place.open()
    with pytest.raises(ValueError, match=r"U\+001E"):
        reactor_place.listener.socket.send("a\x1eb")
    with pytest.raises(TypeError, match="int"):
        reactor_place.listener.socket.send(1)


# ---- the end ----


async def test_second_poll_ends_the_session(reactor_place):
    await reactor_place.start()
    sid = await reactor_place.open()
    first = asyncio.ensure_future(reactor_place.get(reactor_place.target(sid)))
    await until(reactor_place.listener.socket, "is_polled")
    second = await reactor_place.get(reactor_place.target(sid))
    assert second.status_code == 400
    assert (await first).text == "1"
    assert await reactor_place.ended() == "transport error"
    answer = await reactor_place.get(reactor_place.target(sid))
    assert code_of(answer) == (1, "Session ID unknown")


async def test_second_post_ends_the_session(reactor_place):
    await reactor_place.start()
    sid = await reactor_place.open()
    stop = asyncio.Event()

    async def slowly():
        yield b"4"
        await stop.wait()

    first = asyncio.ensure_future(
        reactor_place.post(reactor_place.target(sid), slowly())
    )
    await until(reactor_place.listener.socket, "posting")
    second = await reactor_place.post(reactor_place.target(sid), b"4x")
    assert second.status_code == 400
    assert await reactor_place.ended() == "transport error"
    stop.set()
    assert (await first).status_code == 200  # whole, but for nobody
    assert reactor_place.listener.events == ["open", ("close", "transport error")]


async def test_cancelled_poll_ends_the_session(reactor_place):
    await reactor_place.start()
    sid = await reactor_place.open()
    polling = asyncio.ensure_future(reactor_place.poll(sid))
    await until(reactor_place.listener.socket, "is_polled")
    polling.cancel()
    assert await reactor_place.ended() == "transport error"


async def test_close_packet_of_a_poller(reactor_place):
    await reactor_place.start()
    sid = await reactor_place.open()
    polling = asyncio.ensure_future(reactor_place.poll(sid))
    await until(reactor_place.listener.socket, "is_polled")
    await reactor_place.post(reactor_place.target(sid), b"1")
    assert await polling == "6"
    assert await reactor_place.ended() == "transport close"


async def test_close_packet_over_websocket(place):
    await place.start()
    ws = await place.connect()
    await place.recv(ws)
    await ws.send("1")
    await place.closed(ws)
    assert await place.ended() == "transport close"


async def test_close_of_ours_comes_behind_what_was_sent(place):
    await place.start()
    sid = await place.open()
    await place.post(place.target(sid), b"4a\x1e4close\x1e4b")
    assert place.listener.socket.state == "closing"
    assert await place.poll(sid) == "4a\x1e1"
    assert await place.ended() == "forced close"
    place.made.clear()
    ws = await place.connect()
    await place.recv(ws)
    await ws.send("4a")
    await ws.send("4close")
    await ws.send("4b")
    assert await place.recv(ws) == "4a"
    await place.closed(ws)
    assert place.listener.events == ["open", "a", "close", ("close", "forced close")]
    socket = place.listener.socket
    with pytest.raises(wsfast.ConnectionClosed, match="forced close"):
        socket.send("too late")


async def test_listener_that_fails_ends_its_session_alone(place, quiet):
    await place.start()
    ws, other = await place.connect(), await place.connect()
    await place.recv(ws)
    await place.recv(other)
    await ws.send("4fail")
    await place.closed(ws)
    assert place.made[0].events[-1] == ("close", "server error")
    await other.send("4still")
    assert await place.recv(other) == "4still"


async def test_listener_that_cannot_be_made(place, quiet):
    def factory(socket):
        raise RuntimeError("told to fail")

    await place.start(factory)
    ws = await place.connect()
    await place.closed(ws)
    assert place.server.sockets == {}


async def test_server_closes(place):
    server = await place.start()
    sid = await place.open()
    ws = await place.connect()
    await place.recv(ws)
    polling = asyncio.ensure_future(place.poll(sid))
    await until(place.made[0].socket, "is_polled")
    server.close()
    assert await polling == "1"
    await place.closed(ws)
    assert [each.events[-1] for each in place.made] == [("close", "forced close")] * 2
    assert server.sockets == {}


# ---- heartbeat ----


async def test_heartbeat(place):
    await place.start(ping_interval=0.1, ping_timeout=WAIT_S)
    ws = await place.connect()
    await place.recv(ws)
    for _ in range(3):
        assert await place.recv(ws) == "2"
        await ws.send("3")
    assert place.listener.events == ["open"]


async def test_no_pong(place):
    await place.start(ping_interval=0.05, ping_timeout=0.05)
    ws = await place.connect()
    await place.closed(ws)
    assert ws.close_code == 1011
    assert await place.ended() == "ping timeout"


async def test_no_pong_of_a_poller(reactor_place):
    await reactor_place.start(ping_interval=0.05, ping_timeout=0.05)
    sid = await reactor_place.open()
    assert await reactor_place.poll(sid) == "2"
    assert await reactor_place.ended() == "ping timeout"


async def test_silent_poller_is_forgotten(reactor_place):
    server = await reactor_place.start(ping_interval=0.05, ping_timeout=0.05)
    await reactor_place.open()
    assert await reactor_place.ended() == "ping timeout"
    assert server.sockets == {}
