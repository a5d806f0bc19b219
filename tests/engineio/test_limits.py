"""Limits at the limit, one above, and off; what else requests may not, or may."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

import wsfast
from tests.engineio.conftest import WAIT_S, Peer, Recorder, recv, url_of
from wsfast import engineio
from wsfast.engineio import Cookie, Prepared, connect

LIMIT = 100


@pytest.mark.parametrize(
    ("size", "limit", "good"), [(100, 100, True), (101, 100, False), (101, None, True)]
)
async def test_max_http_buffer_size(place, size, limit, good):
    await place.start(max_http_buffer_size=limit)
    sid = await place.open()
    body = b"4" + b"x" * (size - 1)
    answer = await place.post(place.target(sid), body)
    assert answer.status_code == (200 if good else 413)
    assert place.listener.socket.state == "open"  # as with the reference
    place.made.clear()
    ws = await place.connect()
    await place.recv(ws)
    await ws.send(body.decode())
    if good:
        assert await place.recv(ws) == body.decode()
    else:
        await place.closed(ws)
        assert ws.close_code == 1009
        assert await place.ended() == "transport error"


async def test_max_http_buffer_size_alone(reactor_place):
    server = await reactor_place.start_alone(max_http_buffer_size=LIMIT)
    ws = await reactor_place.connect()
    await reactor_place.recv(ws)
    await ws.send(b"x" * LIMIT)
    assert await reactor_place.recv(ws) == b"x" * LIMIT
    await ws.send(b"x" * (LIMIT + 1))
    await reactor_place.closed(ws)
    assert ws.close_code == 1009
    async with wsfast.serve(server.listener, "127.0.0.1", 0) as bare:
        reactor_place.port = bare.sockets[0].getsockname()[1]
        ws = await reactor_place.connect()
        await reactor_place.recv(ws)
        await ws.send(b"x" * (LIMIT + 1))
        await reactor_place.closed(ws)
        assert ws.close_code == 1009
        ws = await reactor_place.connect("/engine.io/?EIO=3&transport=websocket")
        await reactor_place.closed(ws)  # nobody has refused its handshake
        assert ws.close_reason == "Unsupported protocol version"


@pytest.mark.parametrize(
    ("count", "limit", "good"), [(16, 16, True), (17, 16, False), (17, None, True)]
)
async def test_l2_max_packets(reactor_place, count, limit, good):
    await reactor_place.start(max_packets=limit)
    sid = await reactor_place.open()
    body = "\x1e".join(["4x"] * count).encode()
    answer = await reactor_place.post(reactor_place.target(sid), body)
    assert answer.status_code == (200 if good else 400)
    if good:
        heard = await reactor_place.poll(sid)
        if count > 16:  # the most that we put into one
            heard += "\x1e" + await reactor_place.poll(sid)
        assert heard == body.decode()
    else:
        assert await reactor_place.ended() == "parse error"


async def test_what_a_client_had_to_say_before_it_was_connected(reactor_place):
    """engine.io-client puts all of that into one payload: the default takes it."""
    await reactor_place.start()
    sid = await reactor_place.open()
    said = [f"4{n}" for n in range(500)]
    answer = await reactor_place.post(
        reactor_place.target(sid), "\x1e".join(said).encode()
    )
    assert answer.status_code == 200
    heard = []
    while len(heard) < len(said):
        part = (await reactor_place.poll(sid)).split("\x1e")
        assert len(part) <= 16  # python-engineio's client takes no more
        heard += part
    assert heard == said


@pytest.mark.parametrize(("limit", "good"), [(2, True), (1, False), (None, True)])
async def test_max_sessions(place, limit, good):
    await place.start(max_sessions=limit)
    await place.open()
    answer = await place.get(place.target())
    assert answer.status_code == (200 if good else 403)
    if not good:
        assert answer.json() == {"code": 4, "message": "Too many sessions"}
        with pytest.raises(wsfast.InvalidStatus):
            await place.connect()
        place.listener.socket.end("forced close")  # makes room
        ws = await place.connect()
        assert (await place.recv(ws))[:1] == "0"


async def test_what_we_send_keeps_to_max_packets(reactor_place):
    await reactor_place.start(max_packets=3)
    sid = await reactor_place.open()
    reactor_place.listener.socket.send_many("abcd")
    assert await reactor_place.poll(sid) == "4a\x1e4b\x1e4c"
    assert await reactor_place.poll(sid) == "4d"


async def test_l2_slow_poller(reactor_place):
    """One that never polls costs what may wait for it, and then its session."""
    await reactor_place.start(max_send_buffer=LIMIT, write_limit=LIMIT // 2)
    await reactor_place.open()
    socket = reactor_place.listener.socket
    opening = socket.buffered_amount
    assert opening == 0  # it was taken
    socket.send("x" * (LIMIT - 1))
    assert socket.buffered_amount == LIMIT
    socket.send("x")  # at the limit
    assert socket.buffered_amount == LIMIT + 2
    with pytest.raises(engineio.SessionClosed, match="transport error"):
        socket.send("x")
    assert reactor_place.listener.events[-1] == ("close", "transport error")
    assert reactor_place.server.sockets == {}


async def test_no_limit_of_what_waits(reactor_place):
    await reactor_place.start(max_send_buffer=None)
    await reactor_place.open()
    for _ in range(5):
        reactor_place.listener.socket.send(b"x" * (1 << 20))
    assert reactor_place.listener.socket.buffered_amount == 5 << 20


async def test_back_pressure_of_a_poller(reactor_place):
    await reactor_place.start(write_limit=LIMIT)
    sid = await reactor_place.open()
    socket = reactor_place.listener.socket
    await socket.send("x" * 50)  # no need to wait
    sending = asyncio.ensure_future(_wait(socket.send("x" * 50)))
    await asyncio.sleep(0)
    assert not sending.done()
    await reactor_place.poll(sid)
    await asyncio.wait_for(sending, WAIT_S)
    assert reactor_place.listener.events == ["open", "drain"]
    sending = asyncio.ensure_future(_wait(socket.send("x" * 200)))
    await asyncio.sleep(0)
    socket.end("forced close")
    with pytest.raises(engineio.SessionClosed):
        await sending


async def _wait(awaitable):
    await awaitable


async def test_slow_websocket(reactor_place):
    await reactor_place.start(max_send_buffer=1 << 20)
    ws = await reactor_place.connect()
    await reactor_place.recv(ws)
    ws.pause_reading()
    socket = reactor_place.listener.socket
    with pytest.raises(wsfast.ConnectionClosed):
        for _ in range(1000):  # until the system takes no more, and one more MiB
            socket.send(b"x" * (1 << 18))
            await asyncio.sleep(0)
    assert reactor_place.listener.events[-1] == ("close", "transport error")
    assert not socket.writable
    ws.abort()


async def test_half_open_websocket(reactor_place):
    """A client that is there, and says nothing any more."""
    await reactor_place.start(ping_interval=0.05, ping_timeout=0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", reactor_place.port)
    target = reactor_place.target("", "websocket")
    writer.write(
        f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    assert await reactor_place.ended() == "ping timeout"
    assert reactor_place.server.sockets == {}
    writer.close()
    await writer.wait_closed()


async def test_packets_keep_a_session_alive_but_once_a_ping(reactor_place):
    """On a clock that the test sets: what the reference's timers do."""
    server = await reactor_place.start(ping_interval=10.0, ping_timeout=5.0)
    await reactor_place.open()
    socket = reactor_place.listener.socket
    now = server.wheel.time()
    assert socket.on_timer(now) == now + 5.0  # a ping
    assert socket.watched
    socket.heard()  # any packet, at this time
    later = socket.on_timer(now + 4.0)
    assert later == pytest.approx(now + 5.0, abs=0.5)
    assert not socket.watched
    socket.pong_received()
    assert socket.on_timer(now + 15.0) == now + 20.0
    assert socket.on_timer(now + 20.0) == 0.0
    assert reactor_place.listener.events[-1] == ("close", "ping timeout")


# ---- what is added to answers ----


async def test_reading_is_paused_on_a_websocket(place):
    """For longer than a heartbeat; nothing is lost."""
    await place.start(ping_interval=0.02, ping_timeout=0.02)
    ws = await place.connect()
    await place.recv(ws)
    socket, events = place.listener.socket, place.listener.events
    socket.pause_reading()
    socket.pause_reading()
    for n in range(3):
        await ws.send(f"4{n}")
    await asyncio.sleep(0.2)
    assert events == ["open"]
    socket.resume_reading()
    socket.resume_reading()
    got = []
    while len(got) < 3:
        packet = await place.recv(ws)
        if packet == "2":
            await ws.send("3")
        else:
            got.append(packet)
    assert got == ["40", "41", "42"]
    socket.pause_reading()
    socket.end("forced close")
    await place.closed(ws)
    assert not socket.paused


async def test_reading_is_paused_in_the_middle_of_a_payload(reactor_place):
    class Pausing(Recorder):
        def on_message(self, data):
            super().on_message(data)
            self.socket.pause_reading()

    await reactor_place.start(type("Pausing", (Pausing,), {"made": reactor_place.made}))
    sid = await reactor_place.open()
    socket, events = reactor_place.listener.socket, reactor_place.listener.events
    posting = asyncio.ensure_future(
        reactor_place.post(reactor_place.target(sid), "4a\x1e4b\x1e4c")
    )
    await reactor_place.poll(sid)  # "a" has come
    await asyncio.sleep(0.05)
    assert events == ["open", "a"]
    assert not posting.done()
    socket.resume_reading()
    await reactor_place.poll(sid)
    assert events == ["open", "a", "b"]
    again = await reactor_place.post(reactor_place.target(sid), "4d")
    assert again.status_code == 400  # one request at a time
    assert (await posting).status_code == 200
    assert events == ["open", "a", "b", ("close", "transport error")]


async def test_http_compression(reactor_place):
    await reactor_place.start(http_compression=1024)
    sid = await reactor_place.open()
    socket = reactor_place.listener.socket

    async def poll(message, accept, **options):
        socket.send(message, **options)
        answer = await reactor_place.get(
            reactor_place.target(sid), headers={"accept-encoding": accept}
        )
        assert answer.text == "4" + message
        return answer.headers.get("content-encoding")

    at, below = "x" * 1023, "x" * 1022
    assert await poll(at, "gzip, deflate") == "gzip"
    assert await poll(below, "gzip, deflate") is None
    assert await poll(at, "deflate;q=0.5, gzip;q=0") == "deflate"
    assert await poll(at, "br, identity") is None
    assert await poll(at, "") is None
    assert await poll(at, "gzip", compress=False) is None
    socket.send(Prepared(at, compress=False))
    answer = await reactor_place.get(reactor_place.target(sid))
    assert "content-encoding" not in answer.headers
    reactor_place.server.http_compression = None
    assert await poll(at, "gzip") is None


def test_compressed_payloads_can_be_read():
    from wsfast.engineio.polling import _compressed

    assert gzip.decompress(_compressed(b"x" * 5000, "gzip")) == b"x" * 5000
    assert zlib.decompress(_compressed(b"x" * 5000, "deflate")) == b"x" * 5000


async def test_cookie_and_headers(place):
    def initial(fields, request):
        fields.append(("x-first", request.query["transport"]))

    def every(fields, request):
        fields.append(("x-each", "1"))

    cookie = Cookie("sticky", same_site="Strict", max_age=60, domain="example.org")
    await place.start(cookie=cookie, initial_headers=initial, headers=every)
    answer = await place.get(place.target())
    sid = place.listener.socket.id
    assert answer.headers["set-cookie"] == (
        f"sticky={sid}; Domain=example.org; Path=/; Max-Age=60; SameSite=Strict; "
        "HttpOnly"
    )
    assert (answer.headers["x-first"], answer.headers["x-each"]) == ("polling", "1")
    answer = await place.post(place.target(sid), b"4x")
    assert "x-first" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-each"] == "1"
    ws = await place.connect()
    assert ws.response.headers["x-first"] == "websocket"
    sid = place.made[1].socket.id
    assert ws.response.headers["set-cookie"].startswith(f"sticky={sid};")


async def test_cookie_and_headers_alone(reactor_place):
    await reactor_place.start_alone(
        cookie="io", headers=lambda fields, request: fields.append(("X-Each", "1"))
    )
    ws = await reactor_place.connect()
    sid = reactor_place.listener.socket.id
    assert ws.response.headers["X-Each"] == "1"
    expected = f"io={sid}; Path=/; SameSite=Lax; HttpOnly"
    assert ws.response.headers["Set-Cookie"] == expected


def test_cookie_that_cannot_be_sent():
    with pytest.raises(ValueError, match="Set-Cookie"):
        Cookie("a\r\nb")


THERE = {"origin": "https://there.example"}


async def test_other_origins_are_denied(place):
    await place.start()
    answer = await place.get(place.target(), headers=THERE)
    assert (answer.status_code, answer.json()["code"]) == (403, 4)
    assert "access-control-allow-origin" not in answer.headers
    answer = await place.http.request("OPTIONS", place.target(), headers=THERE)
    assert answer.status_code == 403
    with pytest.raises(wsfast.InvalidStatus):
        await place.connect(origin=THERE["origin"])
    here = {"origin": f"http://127.0.0.1:{place.port}"}
    assert (await place.get(place.target(), headers=here)).status_code == 200
    ws = await place.connect(origin=here["origin"])
    await place.recv(ws)


async def test_other_origins_are_allowed(place):
    await place.start(cors=["https://there.example"])
    preflight = await place.http.request("OPTIONS", place.target(), headers=THERE)
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    for answer in (
        await place.get(place.target(), headers=THERE),
        await place.get(place.target("none"), headers=THERE),
    ):
        fields = answer.headers
        assert fields["access-control-allow-origin"] == THERE["origin"]
        assert fields["access-control-allow-credentials"] == "true"
    ws = await place.connect(origin=THERE["origin"])
    await place.recv(ws)


async def test_initial_packet_and_other_applications(place):
    async def app(scope, receive, send):
        head = {"type": "http.response.start", "status": 202, "headers": []}
        await send(head)
        await send({"type": "http.response.body", "body": b"app"})

    await place.start(initial_packet="first", app=app, path="io")
    assert (await place.get("/elsewhere")).status_code == 202
    answer = await place.get("/io?EIO=4&transport=polling")
    assert answer.text.endswith("\x1e4first")
    ws = await place.connect("/io/?EIO=4&transport=websocket")
    await place.recv(ws)
    assert await place.recv(ws) == "4first"


# ---- messages for many ----


async def test_prepared(place):
    await place.start(deflate=True)
    polls = await connect(url_of(place), Peer, transports=["polling"])
    sockets = [
        await connect(url_of(place), Peer, transports=["websocket"], compression=how)
        for how in (None, "deflate")
    ]
    everybody = [polls, *sockets]
    long = "x" * 5000
    for data in ("hello", b"\1\2", long):
        for compress in (None, True, False):
            prepared = Prepared(data, compress=compress)
            for each in place.made:
                each.socket.send(prepared)
            for each in everybody:
                assert await recv(each) == data
    for each in everybody:
        await each.close()


async def test_compression_is_asked_for(reactor_place):
    """What is agreed upon below is not used unless somebody says so."""
    await reactor_place.start()
    ws = await reactor_place.connect(compression="deflate")
    await reactor_place.recv(ws)
    socket = reactor_place.listener.socket
    assert ws.deflate is not None
    before = socket.websocket.link.driver  # the server's side is in this process
    assert before is not None
    sizes = []
    for compress in (None, True):
        socket.send("x" * 5000, compress=compress)
        sizes.append(socket.buffered_amount)
        await reactor_place.recv(ws)
    assert sizes[0] > 5000 > sizes[1]


async def test_writable(place):
    await place.start()
    ws = await place.connect()
    await place.recv(ws)
    assert place.listener.socket.writable
    await ws.close()
    await place.ended()
    assert not place.listener.socket.writable


@pytest.mark.parametrize(
    "options",
    [
        {"transports": []},
        {"transports": ["webtransport"]},
        {"ping_interval": 0},
        {"ping_timeout": -1},
        {"upgrade_timeout": 0},
        {"max_http_buffer_size": 0},
        {"max_packets": 0},
        {"max_sessions": 0},
    ],
)
def test_options_that_make_no_sense(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        engineio.Server(engineio.Listener, **options)


async def test_server_under_a_prefix(reactor_place):
    """Mounted, the application sees what is below its place."""
    server = engineio.Server(engineio.Listener, path="/")
    events = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event):
        events.append(event)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/mounted/",
        "root_path": "/mounted",
        "query_string": b"EIO=4&transport=polling",
        "headers": [],
    }
    await server(scope, receive, send)
    assert events[0]["status"] == 200
    server.close()


async def test_lifespan():
    server = engineio.Server(engineio.Listener)
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return events.pop(0)

    async def send(event):
        sent.append(event["type"])

    await server({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
