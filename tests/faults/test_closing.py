"""Ends of all kinds, good and bad: rows C-2 to C-5, C-10, C-11, C-14, C-15, C-18."""

from __future__ import annotations

import signal
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import support
from tests.faults.proxy import Proxy
from tests.faults.rawpeer import (
    BINARY,
    CLOSE,
    KEY,
    PING,
    PONG,
    TEXT,
    EndedError,
    Listening,
    Peer,
    frame,
    header,
    opened,
    request,
    tcp,
)
from tests.support.process import Host, Served

Serve = Callable[..., Served]


def test_c3_server_is_not_answered(serve: Serve) -> None:
    server = serve("leave", close_timeout=0.5)
    with opened(server.port, "/c3") as peer:
        peer.frame(TEXT, "go")
        start = time.monotonic()
        assert peer.recv().code == 1000
        peer.ended()  # the server is the first to end TCP
        assert time.monotonic() - start < 8
    assert server.event("end", messages=1)


def test_c3_peer_reads_nothing_while_closing(serve: Serve) -> None:
    server = serve("flood", close_timeout=0.5)
    with opened(server.port, receive_buffer=4096) as peer:
        time.sleep(0.3)
        before = server.host.descriptors()
        peer.close()
        end = server.event("end")
        assert end["rcvd"] == [1000, ""]
        time.sleep(1)
        assert server.host.descriptors() < before


def test_c3_client_is_not_answered(host: Host) -> None:
    with Listening() as listening:
        client = host.connect(listening.uri, "close", close_timeout=0.5)
        with listening.opened() as peer:
            start = time.monotonic()
            assert peer.recv().code == 1000
            peer.ended()
            assert 0.3 < time.monotonic() - start < 8
    client.event("done")


def test_c3_client_waits_for_the_server_to_end_tcp(host: Host) -> None:
    with Listening() as listening:
        client = host.connect(listening.uri, "sink", close_timeout=1)
        with listening.opened() as peer:
            peer.close(1001, "going")
            assert peer.recv().code == 1001
            peer.sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                peer.fill(1)
            peer.half_close()
            peer.ended()
    assert client.event("end")["rcvd"] == [1001, "going"]


def test_c4_half_open_peer(serve: Serve) -> None:
    server = serve("sink", ping_interval=0.3, ping_timeout=0.3, close_timeout=0.5)
    with opened(server.port) as peer:
        before, closing, _ = peer.until_close()
        assert {received.opcode for received in before} == {PING}  # not answered
        assert closing is not None
        assert closing.code == 1011
        end = server.event("end")
        assert end["close_code"] == 1006
        assert end["sent"][0] == 1011
        assert end["error"] == "ConnectionClosedError"


def test_c4_half_open_peer_of_a_client(host: Host, echo: Served) -> None:
    with Proxy(echo.port) as proxy:
        options = {"ping_interval": 0.5, "ping_timeout": 2, "close_timeout": 0.5}
        client = host.connect(proxy.uri, "ask", ["hello"], **options)
        client.event("open")
        time.sleep(0.5)
        proxy.black_hole = True
        end = client.event("end")
        assert end["messages"] == 1
        assert end["close_code"] == 1006


@pytest.mark.parametrize("alive", ["pong", "drip", "messages"])
def test_c4_any_octet_is_life(serve: Serve, alive: str) -> None:
    server = serve("sink", ping_interval=0.5, ping_timeout=1)
    with opened(server.port) as peer:
        peer.sock.settimeout(0.02)
        if alive == "drip":
            peer.send(header(BINARY, 1000, key=KEY))
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                received = peer.recv()
                assert received.opcode == PING, received
                if alive == "pong":
                    peer.frame(PONG, received.payload)
            except TimeoutError:
                pass
            if alive == "drip":
                peer.send(b"x")
            elif alive == "messages":
                peer.frame(TEXT, "x")
        assert not server.ends()


@pytest.mark.parametrize("how", ["reset", "eof"])
@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="between frames"),
        pytest.param(b"\x81", id="in the header"),
        pytest.param(header(TEXT, 70000, key=KEY)[:9], id="in the length"),
        pytest.param(header(TEXT, 70000, key=KEY), id="before the payload"),
        pytest.param(header(TEXT, 70000, key=KEY) + bytes(69999), id="in the payload"),
        pytest.param(frame(TEXT, "x", fin=False), id="in a message"),
    ],
)
def test_c5_tcp_ends(serve: Serve, how: str, octets: bytes) -> None:
    server = serve("sink")
    with opened(server.port, "/c5") as peer:
        peer.send(octets)
        if how == "reset":
            peer.reset()
        else:
            peer.half_close()
            peer.ended()
        end = server.end_of("/c5")
    assert end["error"] == "ConnectionClosedError"
    assert end["close_code"] == 1006
    assert (end["rcvd"], end["messages"]) == (None, 0)


@pytest.mark.parametrize("how", ["reset", "eof", "half"])
@pytest.mark.parametrize("after", [0, 20, 200, 5000])
def test_c5_tcp_ends_for_a_client(
    host: Host, echo: Served, how: str, after: int
) -> None:
    with Proxy(echo.port) as proxy:
        proxy.cut("server", after, how)
        client = host.connect(proxy.uri, "ask", ["x" * 4000] * 10, compression=None)
        client.event("done")
        known = [e for e in host.events if e.get("id") == client.ident]
        last = next(e for e in known if e["event"] in {"end", "refused"})
        assert last["error"] in {
            "ConnectionClosedError",
            "InvalidMessage",
            "ConnectionResetError",
            "EOFError",
        }


def test_c5_no_descriptor_is_kept(fresh: Host) -> None:
    server = fresh.serve()
    with opened(server.port) as peer:
        peer.close()
        peer.ended()
    time.sleep(0.2)
    before = fresh.descriptors()
    for n in range(200):
        peer = opened(server.port)
        peer.send(header(TEXT, 50, key=KEY) + b"half")
        if n % 2:
            peer.reset()
        else:
            peer.sock.close()
    deadline = time.monotonic() + 5
    while fresh.descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert fresh.descriptors() == before
    stats = fresh.stats()
    assert stats["connections"] == 0


def test_c10_cancelled_recv_loses_no_message(serve: Serve) -> None:
    server = serve("impatient")
    with opened(server.port) as peer:
        for n in range(100):
            peer.frame(TEXT, str(n))
            if n % 3:
                time.sleep(0.002)
        assert [peer.recv().payload for _ in range(100)] == [
            str(n).encode() for n in range(100)
        ]


def test_c10_cancelled_send_leaves_whole_frames(serve: Serve) -> None:
    server = serve("cut_sends", write_limit=1024, max_send_buffer=None)
    whole = bytes(range(256)) * 256
    with opened(server.port, receive_buffer=4096) as peer:
        count = 0
        while (received := peer.recv()).opcode == BINARY:
            assert received.payload == whole
            count += 1
            time.sleep(0.001)
        assert received.payload == b"end"
        assert 0 < count <= 200
        peer.close()


def test_c11_close_says_going_away(host: Host) -> None:
    server = host.serve("sink")
    peers = [opened(server.port) for _ in range(20)]
    host.send("close_server", id=server.ident)
    for peer in peers:
        assert peer.recv().code == 1001
        peer.close(1001)
        assert peer.ended() == "eof"
        peer.sock.close()
    closed = host.answer(server.ident, "closed")
    assert closed["seconds"] < 8
    with pytest.raises(ConnectionRefusedError):
        tcp(server.port)


def test_c11_close_waits_for_nobody_for_ever(host: Host) -> None:
    server = host.serve("sink", close_timeout=0.5)
    with opened(server.port), tcp(server.port), opened(server.port):
        assert server.close()["seconds"] < 8


def test_c11_sigterm(fresh: Host) -> None:
    server = fresh.serve("sink", close_timeout=0.5)
    forever = fresh.send("forever", of=server.ident)
    fresh.answer(forever, "forever")
    polite, rude = opened(server.port), opened(server.port)
    fresh.process.send_signal(signal.SIGTERM)
    assert polite.recv().code == 1001
    polite.close(1001)
    assert polite.ended() == "eof"
    fresh.answer(forever, "served")
    polite.sock.close()
    rude.sock.close()
    assert fresh.stop() == 0


def test_c12_sigint_while_busy(fresh: Host) -> None:
    server = fresh.serve("sink")
    with opened(server.port) as peer:
        octets = frame(TEXT, "x") * 10_000
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            peer.send(octets)
        start = time.monotonic()
        fresh.process.send_signal(signal.SIGINT)
        while fresh.process.poll() is None and time.monotonic() - start < 20:
            peer.send(octets)
    assert fresh.process.poll() is not None
    assert time.monotonic() - start < 15
    fresh.log[:] = []  # a traceback of KeyboardInterrupt is as it should be


@pytest.mark.parametrize("script", ["fail", "callback_fail"])
def test_c14_application_fails(shared_host: Host, script: str) -> None:
    if script == "callback_fail" and not shared_host.target.own:
        pytest.skip("the target has no callback class")
    _, line = shared_host.mark()
    server = shared_host.serve(script)
    for _ in range(3):
        with opened(server.port) as peer:
            peer.frame(TEXT, "go")
            closing = peer.recv()
            assert (closing.opcode, closing.code) == (CLOSE, 1011)
            assert b"mistake" not in closing.payload
            peer.close(1011)
            assert peer.ended() == "eof"
    server.close()

    def errors() -> int:
        return sum(x.startswith("ERROR") for x in shared_host.log[line:])

    with shared_host.changed:
        shared_host.changed.wait_for(lambda: errors() >= 3, 20)
    assert errors() == 3, shared_host.log[line:]
    assert not any("never retrieved" in x for x in shared_host.log[line:])


def test_c15_what_was_handed_out_stays(serve: Serve) -> None:
    for size in (1, 100, 5000, 100_000, 1 << 20):
        server = serve("keep")
        with opened(server.port) as peer:
            peer.frame(BINARY, bytes([7]) * size)
            for n in range(50):
                peer.frame(BINARY, bytes([n]) * size)
            peer.close()
            peer.ended()
        assert server.event("kept")["same"]


CERTIFICATE = Path(support.__file__).parent / "localhost.pem"


def tls(port: int) -> Peer:
    """Connect over TLS."""
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    sock = socket.create_connection(("127.0.0.1", port), 10)
    wrapped = context.wrap_socket(
        sock, server_hostname="localhost", suppress_ragged_eofs=False
    )
    return Peer(wrapped, masks=True)


def test_c18_silent_during_tls(host: Host) -> None:
    server = host.serve(tls=True, open_timeout=0.5)
    start = time.monotonic()
    with tcp(server.port) as peer:
        peer.ended()
    assert 0.4 < time.monotonic() - start < 8
    with tls(server.port) as peer:
        peer.send(request())
        assert peer.head().status == 101
        peer.frame(TEXT, "hello")
        assert peer.recv().payload == b"hello"
    server.close()


def test_c18_no_tls_at_all(host: Host) -> None:
    server = host.serve(tls=True)
    with tcp(server.port) as peer:
        peer.send(request())
        assert peer.ended() in {"eof", "reset"}
        assert b"101" not in peer.buffer
    server.close()


def test_c18_end_without_close_notify(host: Host) -> None:
    server = host.serve("sink", tls=True)
    peer = tls(server.port)
    peer.send(request("/c18"))
    assert peer.head().status == 101
    peer.send(frame(TEXT, "x" * 50)[:20])
    plain = socket.socket(fileno=peer.sock.detach())
    plain.close()
    assert server.end_of("/c18")["close_code"] == 1006
    server.close()


def test_c18_close_is_seen_before_the_end_of_tls(host: Host) -> None:
    server = host.serve("echo", tls=True)
    with tls(server.port) as peer:
        peer.send(request())
        assert peer.head().status == 101
        peer.frame(3, b"bad")
        closing = peer.recv()
        assert (closing.opcode, closing.code) == (CLOSE, 1002)
        with pytest.raises((EndedError, ssl.SSLError)):
            peer.fill(1)
    server.close()
