"""``wsfast.sync`` and the other libraries, each as client and as server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.interop.peers import PEERS, SUBJECT, Alike, Peer
from tests.support.tour import BURST, SIZES, octets_of, pieces_of, text_of
from tests.sync.conftest import WAIT_S, running
from wsfast.exceptions import ConnectionClosed
from wsfast.protocol import DeflateOptions
from wsfast.sync import connect

DEFLATE = pytest.mark.parametrize(
    "compression", [None, DeflateOptions(threshold=0)], ids=["plain", "deflate"]
)
END = pytest.mark.parametrize("end", ["client", "server"])


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    """Return what ends the peers that were started."""
    with ExitStack() as found:
        yield found


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("ws", marks=pytest.mark.needs("node")),
        "websockets",
        "aiohttp",
        SUBJECT,
    ],
)
def peer(request: pytest.FixtureRequest, stack: ExitStack) -> Peer:
    """Return a peer: also ourselves, under asyncio."""
    if request.param == SUBJECT:
        return Alike(stack, SUBJECT, "reactor", "asyncio")
    return PEERS[request.param](stack)


def obey(ws: Any) -> None:
    """Do as `tests.support.tour.obey` does."""
    while True:
        message = ws.recv()
        order, _, rest = (
            message[1:].partition(" ")
            if isinstance(message, str) and message.startswith("!")
            else ("", "", "")
        )
        if order == "close":
            code, _, reason = rest.partition(" ")
            ws.close(int(code), reason)
        elif order == "fragments":
            ws.send(pieces_of(text_of(int(rest)), 7))
        elif order == "ping":
            assert ws.ping(rest).wait(WAIT_S)
            ws.send(f"pong {rest}")
        else:
            ws.send(message)


def tour(ws: Any, end: str) -> ConnectionClosed:
    """Do as `tests.support.tour.tour` does; return how the connection ended."""
    for size in SIZES:
        for message in (text_of(size), octets_of(size)):
            ws.send(message)
            assert ws.recv(WAIT_S) == message
    for message in (text_of(1000), octets_of(1000)):
        ws.send(pieces_of(message, 7))
        assert ws.recv(WAIT_S) == message
    ws.send("!fragments 5000")
    assert "".join(ws.recv_streaming()) == text_of(5000)
    assert ws.ping(b"are you there").wait(WAIT_S)
    assert ws.ping(b"").wait(WAIT_S)
    ws.send("!ping 1234")
    assert ws.recv(WAIT_S) == "pong 1234"
    sender = threading.Thread(
        target=lambda: [ws.send(f"{number} of many") for number in range(BURST)]
    )
    sender.start()
    for number in range(BURST):
        assert ws.recv(WAIT_S) == f"{number} of many"
    sender.join(WAIT_S)
    if end == "client":
        ws.close(3456, "so long")
    else:
        ws.send("!close 4321 farewell")
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(WAIT_S)
    return caught.value


@DEFLATE
@END
def test_client(peer, compression, end):
    uri = peer.serve(compression is not None) + "/sync"
    with connect(uri, compression=compression, proxy=None) as ws:
        assert bool(ws.extensions) == (compression is not None)
        ended = tour(ws, end)
    if end == "client":
        assert ended.sent.code == 3456
    else:
        assert (ended.rcvd.code, ended.rcvd.reason) == (4321, "farewell")


@DEFLATE
@END
def test_server(peer, compression, end):
    ends = []

    def handler(ws: Any) -> None:
        try:
            obey(ws)
        finally:
            ws.wait_closed(WAIT_S)
            ends.append((ws.close_code, ws.close_reason))

    with running(handler, compression=compression) as server:
        deflate = compression is not None
        _, last = peer.tour(server.uri + "sync", deflate, end)
        server.server.shutdown(close_connections=False)
    if end == "client":
        assert ends == [(3456, "so long")]
    else:
        assert (last["code"], last["reason"]) == (4321, "farewell")
