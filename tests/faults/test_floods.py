"""Too much of something, to a server: rows F-8 to F-13, F-17 and C-9."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.probe import nobody_waits
from tests.faults.rawpeer import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    TEXT,
    EndedError,
    Frame,
    Peer,
    frame,
    header,
    opened,
    request,
    tcp,
)
from tests.support.process import Host, Served
from tests.support.sanitizer import KEPT

MIB = 1 << 20
EMPTY = frame(CONT, b"", fin=False)
TINY = frame(CONT, b"x", fin=False)


def warm(server: Served) -> int:
    """Use a server once, so that what it loads late is loaded; return its memory."""
    for size in (10, MIB - 10):
        with opened(server.port) as peer:
            peer.frame(BINARY, bytes(size))
            if server.script == "echo":
                peer.recv()
            peer.frame(PING)
            peer.recv()
            peer.close()
            peer.ended()
    return server.host.reset_peak()


@contextlib.contextmanager
def at_most(host: Host, before: int, octets: int) -> Iterator[None]:
    """Check that the highest memory of the block is bounded."""
    yield
    more = host.peak() - before
    assert more <= octets + KEPT, f"memory grew by {more / MIB:.1f} MiB"


def closing_of(peer: Peer) -> Frame | None:
    """Return the close frame, which may be lost when TCP is reset; drop the rest."""
    with contextlib.suppress(EndedError):
        while True:
            received = peer.recv()
            if received.opcode == CLOSE:
                return received
    return None


def reading(peer: Peer) -> threading.Thread:
    """Receive and forget everything, in a thread of its own."""

    def read() -> None:
        with contextlib.suppress(EndedError, TimeoutError):
            while True:
                peer.fill(1)
                peer.buffer.clear()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(header(BINARY, (1 << 63) - 1, key=KEY), id="2^63 - 1"),
        pytest.param(header(BINARY, 1 << 34, key=KEY), id="16 GiB"),
        pytest.param(header(BINARY, MIB + 1, key=KEY), id="1 MiB + 1"),
    ],
)
def test_f6_no_memory_for_what_is_only_declared(fresh: Host, octets: bytes) -> None:
    server = fresh.serve()
    with at_most(fresh, warm(server), MIB):
        for _ in range(20):
            with opened(server.port) as peer:
                peer.send(octets)
                _, closing, _ = peer.until_close()
                assert closing is not None
                assert closing.code == 1009


def test_f6_incomplete_messages_of_many_within_one_budget(fresh: Host) -> None:
    if not fresh.target.own:
        pytest.skip("the target has no such limit")
    server = fresh.serve(max_buffered=8 * MIB)
    octets = header(BINARY, MIB, key=KEY) + bytes(MIB - 100)
    with (
        contextlib.ExitStack() as stack,
        # 8 MiB, and what the allocator keeps, of the 200 MiB that were sent
        at_most(fresh, warm(server), 24 * MIB),
        nobody_waits(server),
    ):
        for _ in range(200):
            peer = stack.enter_context(tcp(server.port))
            peer.send(request())
            if peer.head().status == 101:  # 503 while there is too much
                peer.sock.setblocking(False)
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    sent = 0
                    while sent < len(octets):
                        sent += peer.sock.send(octets[sent:])


def test_f6_memory_follows_what_has_arrived(fresh: Host) -> None:
    server = fresh.serve(max_size=1 << 30)
    with at_most(fresh, warm(server), 4 * MIB):
        peers = [opened(server.port) for _ in range(20)]
        for peer in peers:
            peer.send(header(BINARY, 1 << 29, key=KEY) + bytes(50_000))
        time.sleep(0.3)
        for peer in peers:
            peer.sock.close()


@pytest.mark.parametrize("piece", [EMPTY, TINY], ids=["empty", "one octet"])
def test_f9_fragment_flood(fresh: Host, piece: bytes) -> None:
    server = fresh.serve()
    before = warm(server)
    with (
        at_most(fresh, before, 6 * MIB),
        nobody_waits(server),
        opened(server.port) as peer,
    ):
        peer.send(frame(TEXT, b"", fin=False))
        for _ in range(300):
            peer.send(piece * 4000)
        closing = closing_of(peer)
        if closing is not None:
            assert closing.code == (1008 if piece is EMPTY else 1009)
        assert server.event("end", messages=0)["sent"][0] in {1008, 1009}


@pytest.mark.parametrize("limit", [0, 1, 16])
def test_f9_at_the_limit_and_one_more(fresh: Host, limit: int) -> None:
    server = fresh.serve("sink", max_fragments=limit)
    # Every fragment costs one and every octet pays for one: these three are paid for.
    paid = frame(BINARY, b"ab", fin=False) + frame(CONT, b"c", fin=False)
    for extra, code in ((limit, 1000), (limit + 1, 1008)):
        with opened(server.port) as peer:
            peer.send(paid + frame(CONT, b"", fin=False) + EMPTY * extra)
            peer.send(frame(CONT, b"def"))
            peer.close()
            _, closing, _ = peer.until_close()
            assert closing is not None
            assert closing.code == code


def test_f9_no_limit(fresh: Host) -> None:
    server = fresh.serve(max_fragments=None)
    with opened(server.port) as peer:
        peer.send(frame(TEXT, b"a", fin=False) + EMPTY * 20_000 + frame(CONT, b"b"))
        assert peer.recv().payload == b"ab"


def test_f9_large_message_in_tiny_pieces(fresh: Host) -> None:
    server = fresh.serve(max_size=4 * MIB)
    with opened(server.port, timeout_s=30) as peer:
        piece = frame(CONT, bytes(64), fin=False)
        peer.send(frame(BINARY, b"", fin=False) + piece * 65535)
        peer.frame(CONT, bytes(64))
        assert len(peer.recv().payload) == 4 * MIB


def test_f9_memory_of_a_fragmented_message(fresh: Host) -> None:
    server = fresh.serve("sink")
    with (
        at_most(fresh, warm(server), 4 * MIB),
        opened(server.port, timeout_s=30) as peer,
    ):
        peer.send(frame(BINARY, b"", fin=False) + TINY * (MIB - 1))
        peer.frame(CONT, b"x")
        peer.frame(PING)
        peer.recv()
        peer.close()
        peer.ended()
    assert server.event("end", octets=MIB)


def test_f10_segments_of_two_octets(fresh: Host) -> None:
    server = fresh.serve("sink")
    payload = bytes(200_000)
    octets = frame(BINARY, payload) + frame(PING)
    with at_most(fresh, warm(server), MIB), opened(server.port) as peer:
        peer.send_slowly(octets, 2)
        assert peer.recv().opcode == PONG
        peer.close()
        peer.ended()
    assert server.event("end", octets=len(payload))


def test_f11_ping_flood_is_cut(fresh: Host) -> None:
    server = fresh.serve()
    with nobody_waits(server), opened(server.port) as peer:
        reader = reading(peer)
        for _ in range(50):
            peer.send(frame(PING, bytes(125)) * 1000)
        reader.join(30)
        assert server.event("end", messages=0)["sent"][0] == 1008


def test_f11_pongs_that_nobody_reads(fresh: Host) -> None:
    server = fresh.serve(max_control_rate=None)
    before = warm(server)
    with (
        at_most(fresh, before, 2 * MIB),
        nobody_waits(server),
        opened(server.port, receive_buffer=4096, timeout_s=5) as peer,
        contextlib.suppress(TimeoutError),
    ):
        for _ in range(200):
            peer.sock.sendall(frame(PING, bytes(125)) * 1000)


def test_f11_newest_ping_is_answered(fresh: Host) -> None:
    server = fresh.serve(max_control_rate=None)
    with opened(server.port, receive_buffer=4096, timeout_s=20) as peer:
        for n in range(100):
            peer.send(
                b"".join(frame(PING, f"{n * 1000 + k:0125}") for k in range(1000))
            )
        answered = -1
        while answered < 99_999:
            pong = peer.recv()
            assert pong.opcode == PONG
            assert (
                int(pong.payload) > answered
            )  # no order is changed, no pong comes twice
            answered = int(pong.payload)


@pytest.mark.parametrize("rate", [1, 50])
def test_f11_at_the_limit_and_one_more(fresh: Host, rate: int) -> None:
    server = fresh.serve(max_control_rate=rate)
    with opened(server.port) as peer:
        for _ in range(rate):
            peer.frame(PING)
            assert peer.recv().opcode == PONG
        peer.frame(PING)
        _, closing, _ = peer.until_close()
        assert closing is not None
        assert closing.code == 1008


def test_f12_unsolicited_pongs(fresh: Host) -> None:
    server = fresh.serve(max_control_rate=None)
    before = warm(server)
    with (
        at_most(fresh, before, MIB),
        nobody_waits(server),
        opened(server.port) as peer,
    ):
        octets = frame(PONG, bytes(4)) * 20_000
        end = time.monotonic() + 2
        while time.monotonic() < end:
            peer.send(octets)
        peer.frame(TEXT, "still here")
        assert peer.recv().payload == b"still here"


@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "one octet"])
def test_f13_messages_that_wait_for_a_slow_application(
    fresh: Host, payload: bytes
) -> None:
    server = fresh.serve("drip")
    warm(server)
    before = fresh.reset_peak()
    with at_most(fresh, before, MIB), opened(server.port, timeout_s=1) as peer:
        octets = frame(TEXT, payload) * 10_000
        with pytest.raises(TimeoutError):  # the server stops reading
            for _ in range(1000):
                peer.sock.sendall(octets)


def test_f17_data_after_a_fatal_error(fresh: Host) -> None:
    server = fresh.serve(close_timeout=2)
    before = warm(server)
    start = time.monotonic()
    with (
        at_most(fresh, before, MIB),
        nobody_waits(server),
        opened(server.port) as peer,
    ):
        peer.frame(3, b"bad")
        with contextlib.suppress(OSError):
            for _ in range(100):
                peer.sock.sendall(bytes(MIB))
        peer.ended()
    assert time.monotonic() - start < 20
    assert server.event("end", messages=0)["sent"][0] == 1002


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(frame(TEXT, b"") * 20_000, id="empty text"),
        pytest.param(frame(TEXT, b"abcdefgh") * 20_000, id="short text"),
        pytest.param(frame(BINARY, bytes(MIB)), id="1 MiB"),
        pytest.param(
            (frame(TEXT, b"a", fin=False) + frame(CONT, b"b")) * 10_000, id="fragments"
        ),
    ],
)
def test_c9_one_busy_peer_stalls_nobody(fresh: Host, octets: bytes) -> None:
    server = fresh.serve()
    with nobody_waits(server), opened(server.port) as peer:
        reader = reading(peer)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            peer.send(octets)
        peer.half_close()
        reader.join(20)
