"""Everything that can run out: rows C-6 to C-8 and C-13."""

from __future__ import annotations

import resource
import time

import pytest

from tests.faults.probe import nobody_waits
from tests.faults.rawpeer import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    EndedError,
    Listening,
    Peer,
    close_frame,
    frame,
    header,
    opened,
    request,
    tcp,
)
from tests.faults.test_floods import MIB, at_most, warm
from tests.support.process import Host


def test_c6_send_waits_for_a_slow_reader(fresh: Host) -> None:
    server = fresh.serve("flood")
    with opened(server.port) as peer:
        peer.recv()
    before = fresh.reset_peak()
    with at_most(fresh, before, MIB), opened(server.port, receive_buffer=4096) as peer:
        first, deadline = -1, time.monotonic() + 20
        while (now := len(server.seen("sent"))) != first:  # until it waits
            assert time.monotonic() < deadline
            first = now
            time.sleep(0.5)
        for _ in range(200):  # and goes on
            assert len(peer.recv().payload) == 65536
        deadline = time.monotonic() + 20
        while len(server.seen("sent")) == first and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(server.seen("sent")) > first


def test_c6_reader_leaves_while_the_server_sends(fresh: Host) -> None:
    server = fresh.serve("flood")
    other = fresh.serve("echo")
    with nobody_waits(other):
        for n in range(6):
            with opened(server.port, f"/{n}") as peer:
                peer.recv()
                if n % 2:
                    peer.reset()
            end = server.end_of(f"/{n}")
            assert end["error"] == "ConnectionClosedError"
        time.sleep(0.2)


def test_c6_sender_who_does_not_wait(fresh: Host) -> None:
    if not fresh.target.own:
        pytest.skip("only an eager send can run away")
    server = fresh.serve("eager", close_timeout=1)
    other = fresh.serve("echo")
    with opened(server.port) as peer:
        peer.recv()
    before = fresh.reset_peak()
    with (
        at_most(fresh, before, 4 * MIB),
        nobody_waits(other),
        opened(server.port, "/slow", receive_buffer=4096),
    ):
        end = server.end_of("/slow")
        time.sleep(0.2)
    assert end["sent"][0] == 1008
    assert end["reason_code"] == "slow_consumer"
    assert end["error"] in {"SlowConsumer", "ConnectionClosedError"}


@pytest.mark.parametrize("limit", [65536 + 10, 3 * 65536])
def test_c6_at_the_limit_of_the_send_buffer(fresh: Host, limit: int) -> None:
    if not fresh.target.own:
        pytest.skip("the target has no such limit")
    server = fresh.serve("eager", close_timeout=1, max_send_buffer=limit)
    with opened(server.port, "/slow", receive_buffer=4096):
        assert server.end_of("/slow")["sent"][0] == 1008


def test_c7_connections_over_the_limit(fresh: Host) -> None:
    server = fresh.serve(max_connections=3)
    peers = [opened(server.port) for _ in range(3)]
    for _ in range(3):
        with tcp(server.port) as more:
            more.send(request())
            assert more.head().status == 503
            assert more.ended() == "eof"
    peers.pop().sock.close()
    deadline = time.monotonic() + 20
    while True:  # the place is free again
        with tcp(server.port) as more:
            more.send(request())
            if more.head().status == 101:
                break
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for peer in peers:
        peer.frame(TEXT, "still here")
        assert peer.recv().payload == b"still here"
        peer.sock.close()


def test_c7_new_client_beside_many_pending_handshakes(fresh: Host) -> None:
    server = fresh.serve()
    silent = [tcp(server.port) for _ in range(600)]
    for peer in silent[::2]:
        peer.send(b"GET / HTTP/1.1\r\nHost: ")
    used = fresh.cpu()
    with opened(server.port) as peer:
        peer.frame(TEXT, "hello")
        assert peer.recv().payload == b"hello"
    assert fresh.cpu() - used < 1
    for peer in silent:
        peer.sock.close()


def test_c7_pending_handshakes_over_the_limit(fresh: Host) -> None:
    server = fresh.serve(max_pending_handshakes=10)
    silent = [tcp(server.port, timeout_s=3) for _ in range(30)]
    time.sleep(0.3)
    with opened(server.port) as peer:
        peer.frame(TEXT, "hello")
        assert peer.recv().payload == b"hello"
    gone = 0
    for peer in silent:
        peer.sock.settimeout(0.01)
        try:
            peer.fill(1)
            gone += 1
        except EndedError:
            gone += 1
        except TimeoutError:
            pass
        peer.sock.close()
    assert gone >= 20


def test_c8_out_of_descriptors(fresh: Host) -> None:
    server = fresh.serve()
    warm(server)
    first = opened(server.port)
    limit = fresh.descriptors() + 5
    old = resource.prlimit(fresh.pid, resource.RLIMIT_NOFILE, (limit, 20_000))
    lines = len(fresh.log)
    waiting = [tcp(server.port) for _ in range(30)]
    for peer in waiting:
        peer.send(request())
    time.sleep(0.5)
    before = fresh.cpu()
    time.sleep(2)
    used = (fresh.cpu() - before) / 2
    first.frame(TEXT, "served meanwhile")
    assert first.recv().payload == b"served meanwhile"
    errors = len(fresh.log) - lines
    resource.prlimit(fresh.pid, resource.RLIMIT_NOFILE, old)
    for peer in waiting:  # each is served once there is room
        assert peer.head().status == 101
        peer.frame(TEXT, "at last")
        assert peer.recv().payload == b"at last"
        peer.sock.close()
    first.sock.close()
    assert used < 0.1, f"{used:.0%} of a core while full"
    assert errors < 10, fresh.log[-5:]  # it backs off, and does not log each try


def good(peer: Peer) -> None:
    """Echo once and close."""
    peer.frame(TEXT, "hello")
    assert peer.recv().payload == b"hello"
    peer.close()
    peer.ended()


def bad(peer: Peer) -> None:
    """Break a rule."""
    peer.frame(3, b"bad")
    peer.until_close()


def rude(peer: Peer) -> None:
    """Leave within a frame."""
    peer.send(header(BINARY, 5000, key=b"abcd") + b"xyz")
    peer.reset()


def late(peer: Peer) -> None:
    """Leave without reading the answers."""
    peer.send(frame(PING, "x") * 20 + frame(TEXT, "y") * 20 + close_frame())
    peer.sock.close()


@pytest.mark.slow
@pytest.mark.parametrize("manner", [good, bad, rude, late])
def test_c13_nothing_is_left_behind(fresh: Host, manner: object) -> None:
    assert callable(manner)
    server = fresh.serve()

    def cycles(count: int) -> None:
        for _ in range(count):
            with opened(server.port) as peer:
                manner(peer)

    cycles(400)
    time.sleep(0.2)
    descriptors, memory = fresh.descriptors(), fresh.rss()
    cycles(800)
    time.sleep(0.2)
    stats = fresh.stats()
    assert stats["connections"] == 0
    assert fresh.descriptors() == descriptors
    more = fresh.rss() - memory
    assert more < 400_000, f"{more / 800:.0f} octets a connection"


def test_c13_client_leaves_nothing_behind(fresh: Host) -> None:
    with Listening() as listening:

        def cycles(count: int) -> None:
            for n in range(count):
                client = fresh.connect(listening.uri, "sink")
                with listening.opened() as peer:
                    if n % 3 == 0:
                        peer.reset()
                    elif n % 3 == 1:
                        peer.frame(3, b"bad")
                        peer.half_close()
                        peer.ended()
                    else:
                        peer.close()
                        assert peer.recv().opcode == CLOSE
                        peer.half_close()
                        peer.ended()
                client.event("done")

        cycles(60)
        descriptors = fresh.descriptors()
        cycles(60)
        assert fresh.descriptors() == descriptors
        assert fresh.stats()["connections"] == 0
