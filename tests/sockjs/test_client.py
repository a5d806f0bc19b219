"""The client against a server that says what it is told, however wrong."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import wsfast
from wsfast.asyncio import serve
from wsfast.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeTimeout,
    InvalidMessage,
    InvalidStatus,
    PayloadTooBig,
    ProtocolError,
    SecurityError,
    SlowConsumer,
)
from wsfast.sockjs import TransportsFailed, connect
from wsfast.sockjs.client import process_exception

LIMIT_S = 30
LOCALHOST_PEM = Path(__file__).parents[1] / "support" / "localhost.pem"
PRELUDE = b"h" * 2048 + b"\n"


async def soon(awaitable: Any) -> Any:
    """Wait for something, but not for ever."""
    return await asyncio.wait_for(awaitable, LIMIT_S)


class Fake:
    """
    A server of SockJS over HTTP.

    Attributes:
        answers: What each receiving request is answered, the last one held open.
        asked: Paths of the requests.
        sent: Bodies of the requests that send.
        info: What ``/info`` says.
        refuse: Status of the answer to what is sent.

    """

    def __init__(self, *answers: bytes, info: Any = b"{}") -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.sent: list[bytes] = []
        self.info = info if isinstance(info, bytes) else json.dumps(info).encode()
        self.held = asyncio.Event()
        self.taken = asyncio.Event()
        self.taken.set()

    async def serve(self, reader: Any, writer: Any) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].split()[:1]
                body = await reader.readexactly(int(length[0]) if length else 0)
                path = head.split()[1].decode()
                self.asked.append(path)
                await self.answer(path, body, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def answer(self, path: str, body: bytes, writer: Any) -> None:
        if path.endswith("/info"):
            length = b"Content-Length: %d\r\n\r\n" % len(self.info)
            writer.write(b"HTTP/1.1 200 OK\r\n" + length + self.info)
        elif path.endswith("/xhr_send"):
            await self.taken.wait()
            self.sent.append(body)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            answer = self.answers.pop(0)
            length = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(length + b"%x\r\n%b\r\n" % (len(answer), answer))
            if not self.answers:
                await self.held.wait()
            writer.write(b"0\r\n\r\n")
        await writer.drain()


@asynccontextmanager
async def fake(
    *answers: bytes, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[tuple[Fake, Any]]:
    """Serve; gives the server, and what makes its clients."""
    found = Fake(*answers, **options)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    origin = f"http://127.0.0.1:{port}" if tls is None else f"https://localhost:{port}"

    def client(name: str = "xhr-streaming", **given: Any) -> connect:
        given = {"proxy": None, "transport_timeout": 20.0, **given}
        return connect(f"{origin}/e", name, **given)

    try:
        yield found, client
    finally:
        found.held.set()
        found.taken.set()
        server.close()
        await server.wait_closed()


# ---- what it receives ----


async def test_frames_of_every_kind():
    frames = PRELUDE + b'o\nh\na["a","b"]\n\na[]\nm"c"\nc[1000,"bye"]\n'
    async with fake(frames) as (_, client):
        ws = await client()
        assert [message async for message in ws] == ["a", "b", "c"]
        assert (ws.heartbeats, ws.close_code, ws.close_reason) == (1, 1000, "bye")
        await ws.close()


async def test_one_response_after_the_other():
    async with fake(PRELUDE + b"o\n", b"", b'a["a"]\n', b'a["b"]\n') as (
        server,
        client,
    ):
        async with client() as ws:
            assert [await soon(ws.recv()), await soon(ws.recv())] == ["a", "b"]
        assert len(server.asked) == 5
        assert len(set(server.asked[1:])) == 1


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"x\n", "broken frame b'x': unexpected"),
        (b"oh\n", "broken frame"),
        (b"ho\n", "broken frame"),
        (b"a\n", "Payload expected"),
        (b'a["a"\n', "Broken JSON"),
        (b'a["a",1]\n', "Payload expected"),
        (b'a"a"\n', "Payload expected"),
        (b'm["\n', "Broken JSON"),
        (b'a["\xff"]\n', "Broken JSON"),
        (b"c[1000]\n", "a code and a reason are expected"),
        (b'c[1000,"', "a response ends amid a frame"),
        (b"<!doctype html>\n", "broken frame b'<!doctype html>'"),
    ],
)
async def test_broken_frames(frame: bytes, text: str):
    ends = [b"o\n" + frame, b"h\n"] if frame[-1:] != b"\n" else [b"o\n" + frame]
    async with fake(*ends) as (_, client):
        ws = await client()
        with pytest.raises(ConnectionClosedError) as info:
            await soon(ws.recv())
        assert isinstance(info.value.__cause__, ProtocolError)
        assert text in str(info.value.__cause__)
        assert ws.close_code == 1002
        await ws.close()


@pytest.mark.parametrize("first", [b'a["early"]\n', b"<html>\n", b'm"x"\n'])
async def test_something_else_than_an_opening(first: bytes):
    async with fake(first) as (_, client):
        with pytest.raises(TransportsFailed, match="xhr-streaming: ProtocolError"):
            await client()


async def test_closed_instead_of_opened():
    async with fake(b'c[4001,"Go away!"]\n') as (_, client):
        with pytest.raises(ConnectionClosed) as info:
            await client()
        assert (info.value.code, info.value.reason) == (4001, "Go away!")
    async with fake(b'c[2010,"Another connection still open"]\n') as (_, client):
        with pytest.raises(TransportsFailed, match="2010"):
            await client()


async def test_session_that_the_server_has_lost():
    async with fake(b"o\n", b"o\n") as (_, client):
        ws = await client()
        with pytest.raises(ConnectionClosedError) as info:
            await soon(ws.recv())
        assert getattr(info.value.__cause__, "reason_code", "") == "session_lost"
        assert ws.close_code == 1006
        await ws.close()


@pytest.mark.parametrize(
    ("limits", "frames"),
    [
        ({"max_frame": 100}, b'a["%b"]\n' % (b"x" * 100)),
        ({"max_frame": 5000}, b'a["%b' % (b"x" * 6000)),
        ({"max_size": 100}, b'a["%b"]\n' % (b"x" * 101)),
        ({"max_size": 100}, b'a["%s"]\n' % ("é" * 51).encode()),
    ],
)
async def test_limits(limits: dict[str, int], frames: bytes):
    async with fake(PRELUDE + b"o\n" + frames) as (_, client):
        ws = await client(**limits)
        with pytest.raises(ConnectionClosedError) as info:
            await soon(ws.recv())
        assert isinstance(info.value.__cause__, PayloadTooBig)
        assert ws.close_code == 1009
        await ws.close()


async def test_a_full_queue_stops_reading_and_asking():
    many = b"".join(b'a["%d"]\n' % n for n in range(10))
    async with fake(b"o\n" + many, b'a["last"]\n') as (server, client):
        ws = await client(max_queue=(4, 1))
        for n in range(8):
            assert len(server.asked) == 2
            assert await soon(ws.recv()) == f"{n}"
            await asyncio.sleep(0.01)
        assert await take(ws, 3) == ["8", "9", "last"]
        await ws.close()


async def test_reading_is_paused_by_the_program():
    """What was asked for comes; until reading is taken up again nothing else does."""
    async with fake(b"o\n", b'a["1"]\n', b'a["2"]\n', b'a["3"]\n') as (server, client):
        ws = await client("xhr-polling", max_queue=(1, 0))
        ws.resume_reading()  # it was not paused
        for _ in range(2):
            ws.pause_reading()
        receiving = asyncio.ensure_future(take(ws, 3))
        await asyncio.sleep(0.05)
        assert not receiving.done()
        assert len(server.answers) >= 2
        ws.resume_reading()
        assert await receiving == ["1", "2", "3"]
        ws.pause_reading()
        await ws.close()  # which needs no reading
        assert ws.close_code == 1000
        ws.pause_reading()
        ws.resume_reading()


async def test_what_comes_behind_a_failure_is_not_received():
    frames = b'o\na["first","%b","late"]\na["later"]\n' % (b"x" * 20)
    async with fake(frames) as (_, client):
        ws = await client(max_size=10)
        assert await soon(ws.recv()) == "first"
        with pytest.raises(ConnectionClosedError) as info:
            await soon(ws.recv())
        assert isinstance(info.value.__cause__, PayloadTooBig)
        with pytest.raises(ConnectionClosedError):
            await soon(ws.recv())
        await ws.close()


async def take(ws: Any, count: int) -> list[str]:
    """Receive so many messages."""
    return [await soon(ws.recv()) for _ in range(count)]


async def test_one_task_receives():
    async with fake(b"o\n") as (_, client), client() as ws:
        receiving = asyncio.ensure_future(ws.recv())
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError):
            await ws.recv()
        receiving.cancel()


async def test_recv_many_and_octets():
    async with fake(b'o\na["a","\xc3\xa9","c"]\n') as (_, client), client() as ws:
        assert await soon(ws.recv_many(2)) == ["a", "é"]
        assert await soon(ws.recv(decode=False)) == b"c"


# ---- what it sends ----


async def test_what_waits_goes_out_together_and_in_order():
    async with fake(b"o\n") as (server, client):
        async with client() as ws:
            server.taken.clear()
            ws.send("first")
            await asyncio.sleep(0.1)
            for n in range(3):
                ws.send(f"{n}")
            ws.send_many(["é\u2028", b"octets".decode()])
            assert ws.buffered_amount > 0
            server.taken.set()
        assert server.sent[0] == b'["first"]'
        assert b"".join(server.sent[1:]) == '["0","1","2","é\\u2028","octets"]'.encode()
        assert ws.buffered_amount == 0


async def test_back_pressure():
    async with fake(b"o\n") as (server, client):
        async with client(write_limit=100) as ws:
            server.taken.clear()
            await ws.send("x" * 80)
            waiting = ws.send("x" * 80)
            assert not ws.send_nowait("more")
            task = asyncio.ensure_future(waiting)  # type: ignore[arg-type]
            await asyncio.sleep(0.05)
            assert not task.done()
            server.taken.set()
            await soon(task)
            assert ws.send_nowait("more")
        assert server.sent[-1] == b'["more"]'


async def test_overflow():
    async with fake(b"o\n") as (server, client):
        server.taken.clear()
        ws = await client(max_send_buffer=100)
        ws.send("x" * 200)
        with pytest.raises(SlowConsumer):
            ws.send("more")
        with pytest.raises(SlowConsumer):
            await ws.recv()
        await ws.close()
    async with fake(b"o\n") as (server, client):
        server.taken.clear()
        async with client(max_send_buffer=100, overflow="drop") as ws:
            assert await ws.send("x" * 200) is None
            assert await ws.send("more") is False
            server.taken.set()
        assert len(server.sent) == 1


async def test_a_server_that_does_not_take_what_is_sent():
    async with fake(b"o\n") as (server, client):
        server.taken.clear()
        ws = await client(request_timeout=0.2, write_limit=0)
        with pytest.raises(ConnectionClosedError) as info:
            await soon(ws.send("lost"))
        assert "sending took more than 0.2 seconds" in str(info.value.__cause__)
        await ws.close()
    async with fake(b"o\n") as (server, client):
        server.taken.clear()
        ws = await client(close_timeout=0.2)
        ws.send("lost")
        await soon(ws.close())
        assert ws.buffered_amount == 6
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
        assert "sending took more than 0.2 seconds" in str(closed.value.__cause__)


@pytest.mark.parametrize("message", [b"octets", 1, None, ["a"]])
async def test_text_alone(message: Any):
    async with fake(b"o\n") as (server, client):
        async with client() as ws:
            with pytest.raises(TypeError, match="SockJS carries text"):
                ws.send(message)
            with pytest.raises(TypeError, match="SockJS carries text"):
                ws.send("text", text=False)
            await ws.send(b"\xc3\xa9", text=True)
        assert server.sent == ['["é"]'.encode()]


# ---- opening, and the end ----


async def test_code_and_reason_of_our_own():
    async with fake(b"o\n", b"o\n", b"o\n") as (_, client):
        ws = await client()
        with pytest.raises(ProtocolError):
            ws.close(1005)
        with pytest.raises(ProtocolError):
            ws.close(1000, "x" * 124)
        await ws.close(3001, "enough")
        await ws.close(3002, "no news")
        assert (ws.close_code, ws.close_reason) == (3001, "enough")
        with pytest.raises(ConnectionClosedError, match="sent 3001"):
            await ws.recv()
        ws = await client()
        ws.abort()
        assert ws.close_code == 1006
        await soon(ws.wait_closed())
        with pytest.raises(ConnectionClosedError):
            ws.send("late")


async def test_exception_in_the_block():
    async with fake(b"o\n") as (_, client):
        with pytest.raises(ZeroDivisionError):
            async with client() as ws:
                raise ZeroDivisionError
        assert ws.close_code == 1011


async def test_messages_that_came_first_are_received_first():
    async with fake(b'o\na["a","b"]\nc[3000,"x"]\n') as (_, client):
        ws = await client()
        await soon(ws.wait_closed())
        assert await take(ws, 2) == ["a", "b"]
        with pytest.raises(ConnectionClosedError, match="received 3000"):
            await ws.recv()


async def test_callback_that_fails(caplog: pytest.LogCaptureFixture):
    def beat(ws: Any) -> None:
        raise ZeroDivisionError

    async with fake(b'o\nh\na["a"]\n') as (_, client):
        ws = await client(on_heartbeat=beat)
        assert await soon(ws.recv()) == "a"
        await ws.close()
    assert "on_heartbeat failed" in caplog.text


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        (b"", InvalidMessage),
        (b"[]", InvalidMessage),
        (b" " * 70_000, InvalidMessage),
        ({"base_url": 1}, InvalidMessage),
    ],
)
async def test_info_that_is_none(info: Any, kind: type[Exception]):
    async with fake(b"o\n", info=info) as (_, client):
        with pytest.raises(kind):
            await client()


async def test_base_url_and_disabled_websocket():
    info = {"base_url": "/other/", "websocket": False}
    async with fake(b"o\n", info=info) as (server, client):
        async with client(("websocket", "websocket-raw", "xhr-streaming")) as ws:
            assert ws.url.endswith("/other")
        assert [path.split("/")[1] for path in server.asked] == ["e", "other"]
        with pytest.raises(TransportsFailed, match="the server has it disabled"):
            await client("websocket")


async def test_tls():
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(LOCALHOST_PEM)
    theirs = ssl.create_default_context(cafile=LOCALHOST_PEM)
    async with fake(PRELUDE + b"o\n", b'a["a"]\n', b"", tls=ours) as (server, client):
        with pytest.raises(ssl.SSLCertVerificationError):
            await client(host="127.0.0.1")
        async with client(ssl=theirs, host="127.0.0.1") as ws:
            assert await soon(ws.recv()) == "a"
            await ws.send("b")
        assert server.sent == [b'["b"]']


async def test_reconnecting():
    closing = b"o\n" + b'c[1000,""]\n'
    async with fake(closing, closing, b"o\n") as (_, client):
        seen = []
        async for ws in client(reconnect_delays=lambda: iter([0.0, 0.0, 0.0])):
            seen.append(ws.session_id)
            if len(seen) == 3:
                break
            with pytest.raises(ConnectionClosedOK):
                await soon(ws.recv())
        await ws.close()
        assert len(set(seen)) == 3


def test_what_may_go_away():
    timeout, broken = HandshakeTimeout("late"), SecurityError("no")
    assert process_exception(timeout) is None
    assert process_exception(broken) is broken
    assert process_exception(TransportsFailed({"a": broken, "b": timeout})) is None
    failed = TransportsFailed({"a": broken})
    assert process_exception(failed) is failed


async def test_binary_message_over_websocket():
    async def handler(ws: Any) -> None:
        await ws.send("o")
        await ws.send(b"o")
        await ws.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/"
        with pytest.raises(InvalidStatus, match="refused the request: HTTP 426"):
            await connect(url, "websocket", proxy=None)  # no /info there
        raw = connect(url, "websocket-raw", proxy=None)
        ws = await raw
        assert await soon(ws.recv()) == "o"
        with pytest.raises(ConnectionClosedError) as info:
            await soon(ws.recv())
        assert info.value.sent is not None
        assert info.value.sent.code == 1007
        await ws.close()


@pytest.mark.parametrize("transport", ["websocket", "websocket-raw"])
async def test_server_that_answers_no_pings_was_lost(transport: str):
    """1006, as of connect(); 1011 is in the frame that tells the server."""

    async def handler(ws: Any) -> None:
        await ws.send("o")
        ws.pause_reading()
        await ws.wait_closed()

    def info(ws: Any, request: Any) -> Any:
        return ws.respond(200, "{}") if request.path == "/info" else None

    impatient: dict[str, Any] = {
        "proxy": None,
        "ping_interval": 0.05,
        "ping_timeout": 0.05,
        "close_timeout": 0.05,
    }
    async with serve(
        handler, "127.0.0.1", 0, process_request=info, close_timeout=0
    ) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        ends = []
        for connecting in (
            connect(url, transport, transport_timeout=LIMIT_S, **impatient),
            wsfast.connect(url, **impatient),
        ):
            ws: Any = await connecting
            await soon(ws.wait_closed())
            error = ws.closed_error()
            assert type(error) is ConnectionClosedError
            ends.append((ws.close_code, ws.close_reason, error.rcvd, error.sent.code))
        assert ends == [(1006, "", None, 1011)] * 2
