"""
What an application hands on from its users, with a line end in it: row H-16.

Wherever it goes, it is refused with an exception, or an error response; the other end
never sees the line that was smuggled in.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest

import wsfast.sync
from tests.asyncio.steps import WAIT_S
from tests.faults.conftest import TARGET
from tests.faults.rawpeer import request
from wsfast import InvalidHandshake, InvalidURI, connect, engineio, serve
from wsfast.eventsource import EventSource, EventSourceClient
from wsfast.protocol import Response

pytestmark = pytest.mark.skipif(not TARGET.own, reason="the options are ours")

EVIL = "x\r\nSmuggled: 1"
REFUSALS = (ValueError, InvalidHandshake, InvalidURI)


# ---- responses ----


def refusing(ws: Any, request: Any) -> Any:
    return ws.respond(403, "no", {"X-A": EVIL})


def changed(ws: Any, request: Any, response: Any) -> None:
    response.headers["X-A"] = EVIL


def changed_carelessly(ws: Any, request: Any, response: Any) -> None:
    response.headers.set_insecure("X-A", EVIL)


def phrase(ws: Any, request: Any) -> Any:
    response = ws.respond(403, "no")
    return Response(403, EVIL, response.headers, b"no")


async def echo(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


SERVERS: dict[str, dict[str, Any]] = {
    "server_header": {"server_header": EVIL},
    "subprotocols": {"subprotocols": [EVIL]},
    "select_subprotocol": {
        "subprotocols": ["chat"],
        "select_subprotocol": lambda ws, offered: EVIL,
    },
    "respond": {"process_request": refusing},
    "phrase": {"process_request": phrase},
    "process_response": {"process_response": changed},
    "set_insecure": {"process_response": changed_carelessly},
    "on_handshake_error": {
        "origins": ["https://friend.example"],
        "on_handshake_error": lambda exc, request: Response(403, EVIL, {}, b""),
    },
}


async def answer_of(port: int) -> bytes:
    """Ask for a WebSocket; return all that comes until TCP ends, or the head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(Sec_WebSocket_Protocol="chat"))
    got = b""
    while b"\r\n\r\n" not in got:
        octets = await asyncio.wait_for(reader.read(4096), WAIT_S)
        if not octets:
            break
        got += octets
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return got


@pytest.mark.parametrize("where", SERVERS)
async def test_h16_response_is_not_split(where: str) -> None:
    with contextlib.suppress(*REFUSALS):
        async with serve(echo, "127.0.0.1", 0, **SERVERS[where]) as server:
            got = await answer_of(server.sockets[0].getsockname()[1])
            assert b"\r\nsmuggled:" not in got.lower()
            status = int(got.split()[1])
            assert status != 101 or where == "subprotocols"  # which nobody has offered


# ---- requests ----


async def websocket(url: str, **options: Any) -> None:
    async with connect(f"ws{url[4:]}", proxy=None, **options):
        pass


async def in_a_thread(url: str, **options: Any) -> None:
    def talk() -> None:
        with wsfast.sync.connect(f"ws{url[4:]}", proxy=None, **options):
            pass

    await asyncio.to_thread(talk)


async def over_engineio(url: str, **options: Any) -> None:
    async with engineio.connect(url, engineio.Listener, proxy=None, **options):
        pass


async def over_eventsource(url: str, **options: Any) -> None:
    def give_up(exc: Exception) -> Exception:
        return exc

    client = EventSourceClient(url, proxy=None, process_exception=give_up, **options)
    async with client as source:
        await source.recv()


def changes(made: Any) -> None:
    made.headers.set_insecure("X-A", EVIL)


HEADERS: dict[str, Any] = {
    "in a list": {"additional_headers": [("X-A", EVIL)]},
    "in a dictionary": {"additional_headers": {"X-A": EVIL}},
    "as a name": {"additional_headers": {f"{EVIL}\r\nX": "1"}},
}
OWN: dict[str, Any] = {
    "user agent": {"user_agent_header": EVIL},
    "origin": {"origin": EVIL},
    "subprotocol": {"subprotocols": [EVIL]},
    "hook": {"on_request": changes},
}
Client = Callable[..., Any]
CLIENTS: list[tuple[Client, str, dict[str, Any]]] = [
    *((f, how, o) for f in (websocket, in_a_thread) for how, o in OWN.items()),
    *(
        (f, how, o)
        for f in (websocket, in_a_thread, over_engineio, over_eventsource)
        for how, o in HEADERS.items()
    ),
    (over_engineio, "query", {"query": {"a": EVIL}}),
    (over_engineio, "path", {"path": f"/a {EVIL}"}),
    (over_eventsource, "last event", {"last_event_id": EVIL}),
]
IDS = [f"{function.__name__}: {how}" for function, how, _ in CLIENTS]


@pytest.mark.parametrize(("client", "how", "options"), CLIENTS, ids=IDS)
async def test_h16_request_is_not_split(
    client: Client, how: str, options: dict[str, Any]
) -> None:
    got = await request_of(client, "/", **options)
    assert how == "query" or got == b""  # it is escaped; all others are refused


@pytest.mark.parametrize("client", [websocket, in_a_thread, over_eventsource])
@pytest.mark.parametrize(
    "target", [f"/a {EVIL}", f"/?a={EVIL}", f"/#{EVIL}", f"@{EVIL}/"]
)
async def test_h16_target_is_not_split(client: Client, target: str) -> None:
    await request_of(client, target)


async def request_of(client: Client, target: str, **options: Any) -> bytes:
    """Have a client connect, and be refused; return what it has sent."""
    loop = asyncio.get_running_loop()
    got = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)

        async def refuse() -> None:
            accepted, _ = await loop.sock_accept(listening)
            with accepted:
                accepted.setblocking(False)
                while b"\r\n\r\n" not in got:
                    octets = await loop.sock_recv(accepted, 4096)
                    if not octets:
                        return
                    got.extend(octets)
                answer = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
                await loop.sock_sendall(accepted, answer)

        serving = asyncio.ensure_future(refuse())
        url = f"http://127.0.0.1:{listening.getsockname()[1]}{target}"
        with pytest.raises((*REFUSALS, wsfast.WebSocketException, OSError)):
            await asyncio.wait_for(client(url, **options), WAIT_S)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    assert b"\r\nsmuggled:" not in got.lower()
    return bytes(got)


# ---- event streams ----


async def test_h16_event_stream_is_not_split() -> None:
    failures: list[type[BaseException]] = []

    async def handler(reader: Any, writer: Any) -> None:
        try:
            source = await EventSource.from_asyncio(
                reader, writer, headers={"X-A": EVIL}
            )
            await source.close()
        except Exception as exc:
            failures.append(type(exc))
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        got = await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()
        await writer.wait_closed()
    assert b"\r\nsmuggled:" not in got.lower()
    assert len(failures) == 1
    assert issubclass(failures[0], ValueError)
