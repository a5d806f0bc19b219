"""Our own server below SockJS: HTTP/1.1 on links, and responses that stream on them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import pytest

import wsfast
from tests.asyncio.test_tls import client_context, server_context
from tests.sockjs.running import DEADLINE_S, running_by_itself
from tests.sockjs.test_server_http import PRELUDE
from wsfast import ConnectionClosed, SlowConsumer
from wsfast.sockjs import Prepared, SockJS, broadcast, serve

PATH = "/000/session"


CHUNKED = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def echo(session):
    async for message in session:
        await session.send(message)


class Raw:
    """A connection on which octets are written as the test wants them."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def write(self, text):
        self.writer.write(text.encode("latin-1"))

    def post(self, path, body="", fields=""):
        self.write(
            f"POST {path} HTTP/1.1\r\nHost: x\r\n{fields}"
            f"Content-Length: {len(body)}\r\nAccept: */*\r\n\r\n{body}"
        )

    async def read(self, size):
        octets = await asyncio.wait_for(self.reader.readexactly(size), DEADLINE_S)
        return octets.decode()

    async def until(self, mark):
        octets = await asyncio.wait_for(
            self.reader.readuntil(mark.encode()), DEADLINE_S
        )
        return octets.decode()

    async def head(self):
        return await self.until("\r\n\r\n")

    async def status(self):
        """Read a response whose length is known; return its status."""
        head = await self.head()
        length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
        await self.read(int(length or 0))
        return int(head.split()[1])

    async def frame(self):
        """Read a chunk of a response that streams."""
        size = int(await self.until("\r\n"), 16)
        return (await self.read(size + 2))[:-2]

    async def ended(self):
        with contextlib.suppress(ConnectionResetError):
            return await asyncio.wait_for(self.reader.read(), DEADLINE_S)
        return b""


@contextlib.asynccontextmanager
async def raw(server, **options):
    """Connect to a server."""
    port = server.site.port
    streams = await asyncio.open_connection("127.0.0.1", port, **options)
    try:
        yield Raw(*streams)
    finally:
        streams[1].close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await streams[1].wait_closed()


async def listening(server, stack, path=PATH):
    """Open a session that streams; return its connection."""
    stream = await stack.enter_async_context(raw(server))
    stream.post(path + "/xhr_streaming")
    assert "transfer-encoding: chunked\r\n" in await stream.head()
    assert await stream.frame() == PRELUDE
    assert await stream.frame() == "o\n"
    return stream


# ---- HTTP ----


async def test_rfc9112_9_3_requests_follow_one_another():
    async with running_by_itself(echo) as server, raw(server) as client:
        client.post(PATH + "/xhr")
        assert await client.status() == 200
        for body, status in [
            ('["a"]', 204),
            ('["bb","c"]', 204),
            ('["d"', 500),
            ("", 500),
            ('["e"]', 204),
        ]:
            client.post(PATH + "/xhr_send", body)
            assert await client.status() == status
        client.post(PATH + "/xhr")
        assert "200" in await client.head()
        assert await client.until("\n") == 'a["a","bb","c","e"]\n'


async def test_rfc9112_9_3_2_pipelined_requests_are_answered_in_order():
    async with running_by_itself(echo) as server, raw(server) as client:
        client.post(PATH + "/xhr")
        for number in range(50):
            client.post(PATH + "/xhr_send", f'["{number}"]')
            client.write("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        statuses = [await client.status() for _ in range(101)]
        assert statuses == [200] + [204, 404] * 50
        client.post(PATH + "/xhr")
        await client.head()
        wanted = ",".join(f'"{number}"' for number in range(50))
        assert await client.until("\n") == f"a[{wanted}]\n"


async def test_request_in_pieces():
    async with running_by_itself(echo) as server, raw(server) as client:
        client.post(PATH + "/xhr")
        assert await client.status() == 200
        request = f"POST {PATH}/xhr_send HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        for _ in range(2):
            for octet in request + '\r\n["a"]':
                client.write(octet)
                await client.writer.drain()
                await asyncio.sleep(0)
            assert await client.status() == 204
        client.write(request + "Expect: 100-continue\r\n\r\n")
        assert await client.head() == "HTTP/1.1 100 Continue\r\n\r\n"
        client.write('["b"]')
        assert await client.status() == 204


async def test_h13_stranger_is_refused_each_time():
    async with (
        running_by_itself(echo, cors=["http://friend"]) as server,
        raw(server) as client,
    ):
        client.post(PATH + "/xhr")
        assert await client.status() == 200
        for _ in range(3):
            client.post(PATH + "/xhr_send", '["a"]', "Origin: http://stranger\r\n")
            assert await client.status() == 403
            client.post(PATH + "/xhr_send", '["b"]', "Origin: http://friend\r\n")
            assert await client.status() == 204
        client.post(PATH + "/xhr")
        await client.head()
        assert await client.until("\n") == 'a["b","b","b"]\n'


@pytest.mark.parametrize("path", ["/xhr", "/xhr_streaming"])
async def test_h16_field_that_would_break_out_of_its_line_is_not_sent(path):
    def cookie(exchange, fields):
        fields.append(("set-cookie", "a=b\r\nx: y"))

    async with (
        running_by_itself(echo, jsessionid=cookie) as server,
        raw(server) as client,
    ):
        client.post(PATH + path)
        assert await client.status() == 500
        assert path == "/xhr" or server.app.sessions == []


async def test_session_that_has_ended_is_not_known_any_more():
    async def one(session):
        await session.recv()

    options = {"disconnect_delay": 0.1}
    async with running_by_itself(one, **options) as server, raw(server) as client:
        client.post(PATH + "/xhr")
        assert await client.status() == 200
        client.post(PATH + "/xhr_send", '["a"]')
        assert await client.status() == 204
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        status = 204
        while status == 204 and asyncio.get_running_loop().time() < deadline:
            client.post(PATH + "/xhr_send", '["a"]')
            status = await client.status()
            await asyncio.sleep(0.02)
        assert status == 404


@pytest.mark.parametrize("step", [1, 3, 1000])
async def test_rfc9112_7_1_body_in_chunks(step):
    async with running_by_itself(echo) as server, raw(server) as client:
        client.post(PATH + "/xhr")
        assert await client.status() == 200
        request = CHUNKED.replace("/a", PATH + "/xhr_send")
        text = request + '2\r\n["\r\n003 ; x=y\r\na"]\r\n0\r\n\r\n'
        text *= 2
        for start in range(0, len(text), step):
            client.write(text[start : start + step])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert [await client.status(), await client.status()] == [204, 204]
        client.post(PATH + "/xhr")
        await client.head()
        assert await client.until("\n") == 'a["a","a"]\n'


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (CHUNKED.replace("chunked", "gzip, chunked"), 501),
        (CHUNKED.replace("1.1", "1.0"), 400),
        (CHUNKED.replace("Transfer", "Content-Length: 3\r\nTransfer"), 400),
        (CHUNKED + "x\r\n", 400),
        (CHUNKED + "1;" + "a" * 300, 400),
        (CHUNKED + "-1\r\n", 400),
        (CHUNKED + "1;a\nb\r\n", 400),
        (CHUNKED + "2\r\nabc\r\n", 400),
        (CHUNKED + "0\r\nTrailer: x\r\n\r\n", 400),
        (CHUNKED + "3e9\r\n", 413),
        (CHUNKED + "3e8\r\n" + "a" * 1000 + "\r\n1\r\n", 413),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", 413),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", 400),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n", 400),
        ("POST /a HTTP/1.1\r\nHost: x\r\n" + "Content-Length: 1\r\n" * 2 + "\r\n", 400),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: x\n\n", 400),
        ("GET somewhere HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/2.7\r\nHost: x\r\n\r\n", 505),
        ("GET /" + "a" * 9000 + " HTTP/1.1\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\n" + "a: b\r\n" * 200 + "\r\n", 431),
        ("\x16\x03\x01 is TLS", 400),
    ],
)
async def test_rfc9112_what_is_no_request_is_refused(request_text, status):
    async with (
        running_by_itself(echo, max_size=1000) as server,
        raw(server) as client,
    ):
        client.write(request_text)
        head = await client.head()
        assert int(head.split()[1]) == status
        assert "connection: close" in head
        await client.ended()


async def test_rfc9112_2_2_empty_line_before_a_request():
    async with running_by_itself(echo) as server, raw(server) as client:
        for connection in ("keep-alive", "close"):
            client.write(
                f"\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n"
            )
        answers = await client.ended()
        assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2


async def test_rfc9112_3_2_2_absolute_form():
    async with running_by_itself(echo) as server, raw(server) as client:
        client.write("GET http://x/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await client.ended()).endswith(b"Welcome to SockJS!\n")


@pytest.mark.parametrize(
    ("text", "status", "serving"),
    [
        ("", b"", {"open_timeout": 0.1}),
        ("GET / HTTP/1.1\r\n", b"408", {"open_timeout": 1.0}),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
            b"408",
            {"request_timeout": 0.1},
        ),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"200", {"keep_alive": 0.1}),
    ],
)
async def test_client_that_stays_silent_is_ended(text, status, serving):
    async with running_by_itself(echo, serving) as server, raw(server) as client:
        client.write(text)
        assert (await client.ended())[9:12] == status


async def test_clients_are_limited():
    serving = {"max_connections": 2}
    async with (
        running_by_itself(echo, serving) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        first = await listening(server, stack)
        url = f"{server.site.ws_url}/0/x/websocket"
        async with wsfast.connect(url) as ws:
            assert await ws.recv() == "o"
            async with raw(server) as third:
                assert (await third.ended()).startswith(b"HTTP/1.1 503 ")
        first.writer.close()


async def test_clients_without_a_request_are_limited():
    serving = {"max_pending_handshakes": 1}
    async with (
        running_by_itself(echo, serving) as server,
        raw(server) as idle,
        raw(server) as client,
    ):
        assert (await idle.ended()).startswith(b"HTTP/1.1 503 ")
        client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await client.status() == 200


async def test_several_services():
    async def other(session):
        await session.send("other")
        await session.wait_closed()

    services = [SockJS(echo, "/a"), SockJS(other, "/a/b", cors=["http://friend"])]
    async with serve(services, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}"
        async with wsfast.connect(f"{url}/a/b/0/x/websocket") as ws:
            assert [await ws.recv(), await ws.recv()] == ["o", 'a["other"]']
            assert ws.response.status_code == 101
        async with wsfast.connect(f"{url}/a/0/x/websocket") as ws:
            await ws.send('["a"]')
            assert [await ws.recv(), await ws.recv()] == ["o", 'a["a"]']
        for path, origin, status in [
            ("/a/b/0/x/websocket", "http://stranger", 403),
            ("/b/0/x/websocket", None, 404),
            ("/a/0/x/nothing", None, 404),
        ]:
            with pytest.raises(wsfast.exceptions.InvalidStatus) as caught:
                await wsfast.connect(url + path, origin=origin)
            assert caught.value.response.status_code == status


def test_arguments():
    with pytest.raises(ValueError, match="no service"):
        serve([], "127.0.0.1", 0)
    with pytest.raises(ValueError, match="no hooks"):
        serve(SockJS(echo), "127.0.0.1", 0, process_request=lambda *_: None)


# ---- responses that stream ----


@pytest.mark.parametrize("reactor", [True, False])
@pytest.mark.parametrize("secure", [False, True])
async def test_stream_over_any_link(reactor, secure):
    context = server_context() if secure else None
    options = {"ssl": client_context()} if secure else {}
    serving = {"reactor": reactor, "ssl": context}
    big = "x" * 300_000
    async with running_by_itself(
        echo, serving, response_limit=1 << 20, max_queue=5
    ) as server:
        if secure:
            options["server_hostname"] = "localhost"
        async with raw(server, **options) as stream, raw(server, **options) as sender:
            stream.post(PATH + "/xhr_streaming")
            await stream.head()
            assert [await stream.frame(), await stream.frame()] == [PRELUDE, "o\n"]
            for message in ("a", big, "b"):
                sender.post(PATH + "/xhr_send", f'["{message}"]')
                assert await sender.status() == 204
                assert await stream.frame() == f'a["{message}"]\n'
            (session,) = server.app.sessions
            session.close()
            assert await stream.frame() == 'c[1000,"Normal closure"]\n'
            assert await stream.until("0\r\n\r\n") == "0\r\n\r\n"
            stream.post(PATH + "/xhr_send", "[]")  # it is kept
            assert await stream.status() in (204, 404)


async def test_messages_of_one_turn_arrive_in_order():
    async def handler(session):
        for number in range(2000):
            session.send(Prepared(str(number)) if number % 3 else str(number))
        await session.wait_closed()

    async with (
        running_by_itself(handler) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        stream = await listening(server, stack)
        found = ""
        while not found.endswith('"1999"]\n'):
            found += await stream.frame()
        wanted = [f'"{number}"' for number in range(2000)]
        assert found.replace("a[", "").replace("]\n", ",")[:-1].split(",") == wanted


async def test_slow_client_gives_back_pressure_and_loses_nothing():
    waited = asyncio.Event()
    message = "x" * 50_000

    async def handler(session):
        for number in range(400):
            sent = session.send(f"{number:05d}{message}")
            if session.buffered_amount > session.options.write_limit:
                waited.set()
            await sent
        await session.wait_closed()

    limits = {"response_limit": 1 << 30, "max_send_buffer": 1 << 17}
    async with (
        running_by_itself(handler, **limits) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        stream = await listening(server, stack)
        await asyncio.wait_for(waited.wait(), DEADLINE_S)
        numbers = []
        while len(numbers) < 400:
            frame = await stream.frame()
            assert frame[:2] == "a["
            numbers += [int(each[:5]) for each in frame[3:-3].split('","')]
        assert numbers == list(range(400))


async def test_slow_client_that_is_not_waited_for_is_ended():
    ended = asyncio.get_running_loop().create_future()

    async def handler(session):
        try:
            while True:
                session.send("x" * 65536)
                await asyncio.sleep(0)
        except ConnectionClosed as exc:
            ended.set_result(exc)

    async with (
        running_by_itself(handler, response_limit=1 << 40) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        await listening(server, stack)
        exc = await asyncio.wait_for(ended, DEADLINE_S)
        assert isinstance(exc, SlowConsumer)


async def test_client_that_leaves_ends_the_session():
    ended = asyncio.Event()

    async def handler(session):
        with contextlib.suppress(ConnectionClosed):
            await session.recv()
        ended.set()

    async with (
        running_by_itself(handler) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        stream = await listening(server, stack)
        stream.writer.transport.abort()
        await asyncio.wait_for(ended.wait(), DEADLINE_S)
        assert server.app.sessions == []


async def test_requests_behind_a_stream_wait_for_its_end():
    async with (
        running_by_itself(echo) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        stream = await listening(server, stack)
        stream.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        sender = await stack.enter_async_context(raw(server))
        sender.post(PATH + "/xhr_send", '["a"]')
        assert await sender.status() == 204
        assert await stream.frame() == 'a["a"]\n'
        (session,) = server.app.sessions
        session.close(3000, "enough")
        assert await stream.frame() == 'c[3000,"enough"]\n'
        assert await stream.until("0\r\n\r\n") == "0\r\n\r\n"
        assert await stream.status() == 200


# ---- many ----


async def test_broadcast_reaches_all_transports():
    sessions = set()
    here = asyncio.Event()

    async def handler(session):
        sessions.add(session)
        if len(sessions) == 4:
            here.set()
        await session.wait_closed()
        sessions.discard(session)

    async with (
        running_by_itself(handler) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        stream = await listening(server, stack)
        path = await server.open()
        url = server.site.ws_url
        framed = await stack.enter_async_context(wsfast.connect(f"{url}/0/x/websocket"))
        plain = await stack.enter_async_context(wsfast.connect(f"{url}/websocket"))
        assert await framed.recv() == "o"
        await asyncio.wait_for(here.wait(), DEADLINE_S)
        broadcast(sessions, "a\u2028")
        broadcast([*sessions], Prepared("b"))
        assert await stream.frame() + await stream.frame() == (
            'a["a\\u2028"]\na["b"]\n'
        )
        assert await server.poll(path) == 'a["a\\u2028","b"]\n'
        assert [await framed.recv(), await framed.recv()] == [
            r'a["a\u2028"]',
            'a["b"]',
        ]
        assert [await plain.recv(), await plain.recv()] == ["a\u2028", "b"]
        with pytest.raises(TypeError):
            broadcast(sessions, b"binary")


async def test_end_of_the_server():
    async def handler(session):
        await session.wait_closed()

    app = SockJS(handler)
    async with contextlib.AsyncExitStack() as stack:
        server = await app.serve("127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        class Site:
            site = type("Port", (), {"port": port})

        stream = await listening(Site, stack)
        idle = await stack.enter_async_context(raw(Site))
        url = f"ws://127.0.0.1:{port}/0/x/websocket"
        ws = await stack.enter_async_context(wsfast.connect(url))
        assert await ws.recv() == "o"
        server.close()
        assert await stream.frame() == 'c[1001,"Going away"]\n'
        assert await stream.ended() == b"0\r\n\r\n"
        assert await ws.recv() == 'c[1001,"Going away"]'
        await idle.ended()
        await asyncio.wait_for(server.wait_closed(), DEADLINE_S)
        assert app.sessions == []
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), 1)


async def test_abort_cuts_everybody():
    async def handler(session):
        await asyncio.sleep(3600)

    app = SockJS(handler)
    async with contextlib.AsyncExitStack() as stack:
        server = await app.serve("127.0.0.1", 0)

        class Site:
            site = type("Port", (), {"port": server.sockets[0].getsockname()[1]})

        stream = await listening(Site, stack)
        server.abort()
        await stream.ended()
        await asyncio.wait_for(server.wait_closed(), DEADLINE_S)
        assert app.sessions == []
