"""Text that is not UTF-8 and compression that is not deflate: rows U-1 to D-4."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable

import pytest

from tests.faults.probe import nobody_waits
from tests.faults.rawpeer import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    RSV1,
    TEXT,
    Listening,
    Peer,
    frame,
    header,
    offered,
    opened,
    request,
    response,
    tcp,
    xor,
)
from tests.faults.test_floods import MIB, at_most, warm
from tests.faults.test_frames import closed_by_client, deflated
from tests.support.process import Host, Served
from tests.support.sanitizer import UNDER_ASAN

Serve = Callable[..., Served]
OFFER = "permessage-deflate"

INVALID = [
    b"\x80",  # stray
    b"\xbf",
    b"\xc0\xaf",  # overlong
    b"\xc1\xbf",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    b"\xed\xa0\x80",  # surrogates
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",  # over U+10FFFF
    b"\xf5\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xc3\x28",  # a lead octet, then none of its own
    b"\xe2\x28\xa1",
    b"\xe2\x82\x28",
    b"\xf0\x9f\x8e\x28",
    b"\xc3",  # cut short
    b"\xe2\x82",
    b"\xf0\x9f\x8e",
]


def expect(peer: Peer, *codes: int) -> None:
    """Check that the server closes with one of the codes."""
    before, closing, _ = peer.until_close()
    assert before == []
    assert closing is not None
    assert closing.code in codes


@pytest.mark.parametrize("bad", INVALID, ids=bytes.hex)
@pytest.mark.parametrize("lead", [b"", b"x" * 63, "é".encode() * 40])
def test_u1_invalid_text(echo: Served, bad: bytes, lead: bytes) -> None:
    with opened(echo.port) as peer:
        peer.frame(TEXT, lead + bad)
        expect(peer, 1007)


@pytest.mark.parametrize("bad", INVALID, ids=bytes.hex)
def test_u1_invalid_text_across_fragments(echo: Served, bad: bytes) -> None:
    for cut in range(1, len(bad) + 1):
        with opened(echo.port) as peer:
            peer.frame(TEXT, b"ok" + bad[:cut], fin=False)
            peer.frame(CONT, b"", fin=False)
            peer.frame(CONT, bad[cut:])
            expect(peer, 1007)


@pytest.mark.parametrize("bad", list(INVALID[:18]), ids=bytes.hex)
def test_u1_fails_at_the_octet_where_it_becomes_invalid(
    echo: Served, bad: bytes
) -> None:
    with opened(echo.port) as peer:  # in a frame whose rest never comes
        payload = "κόσμε".encode() + bad
        peer.send(header(TEXT, 5000, key=KEY) + xor(payload, KEY))
        expect(peer, 1007)
    with opened(echo.port) as peer:  # octet by octet, in a message that goes on
        peer.frame(TEXT, "κόσμε", fin=False)
        peer.send(header(CONT, 5000, key=KEY))
        peer.send_slowly(xor(bad, KEY), 1, 0.001)
        expect(peer, 1007)


def test_u1_valid_text_in_pieces_of_characters(echo: Served) -> None:
    text = "aé漢🎈" * 20
    data = text.encode()
    with opened(echo.port) as peer:
        for n, octet in enumerate(data):
            peer.frame(CONT if n else TEXT, bytes([octet]), fin=n == len(data) - 1)
        assert peer.recv().payload == data


def test_u1_client_too(host: Host) -> None:
    with Listening() as listening:
        client = host.connect(listening.uri, "sink")
        with listening.opened() as peer:
            peer.send(header(TEXT, 5000) + b"\xf0\x9f\xff")
            _, closing, _ = closed_by_client(peer)
            assert closing is not None
            assert closing.code == 1007
    end = client.event("end")
    assert end["sent"][0] == 1007


@pytest.mark.parametrize("bad", INVALID, ids=bytes.hex)
def test_u2_invalid_reason(echo: Served, bad: bytes) -> None:
    with opened(echo.port) as peer:
        peer.frame(CLOSE, b"\x03\xe8" + bad)
        expect(peer, 1007, 1002)


def bomb(size: int) -> bytes:
    """Return that many zeros, compressed."""
    packer = zlib.compressobj(9, wbits=-15)
    pieces = [packer.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join([*pieces, packer.flush(zlib.Z_SYNC_FLUSH)])[:-4]


def test_d1_bomb(fresh: Host) -> None:
    server = fresh.serve()
    warm(server)
    small = deflated(os.urandom(100) * 10)
    with opened(server.port, deflate=OFFER) as peer:
        peer.frame(BINARY, small, rsv=RSV1)
        peer.recv()
    octets = frame(BINARY, bomb(400 * MIB), rsv=RSV1)
    assert len(octets) < MIB
    before = fresh.reset_peak()
    with at_most(fresh, before, 2 * MIB), nobody_waits(server):  # limit + 1 MiB
        for _ in range(6):  # none leaves anything to the next
            with opened(server.port, deflate=OFFER) as peer:
                peer.send(octets)
                expect(peer, 1009)


def test_d1_bomb_in_fragments(fresh: Host) -> None:
    server = fresh.serve()
    data = bomb(64 * MIB)
    before = warm(server)
    with at_most(fresh, before, 2 * MIB), opened(server.port, deflate=OFFER) as peer:
        for start in range(0, len(data), 100):
            piece = data[start : start + 100]
            first = start == 0
            opcode, rsv = (TEXT, RSV1) if first else (CONT, 0)
            peer.frame(opcode, piece, rsv=rsv, fin=start + 100 >= len(data))
        expect(peer, 1009)
        assert server.event("end", messages=0, octets=0)["sent"][0] == 1009


def test_d1_inflating_stalls_nobody(fresh: Host) -> None:
    server = fresh.serve("sink", max_size=None)
    other = fresh.serve()
    octets = frame(BINARY, bomb(4 * MIB), rsv=RSV1)
    with nobody_waits(other), opened(server.port, deflate=OFFER) as peer:
        for _ in range(40):
            peer.send(octets)
        peer.close()
        peer.ended(30)
    assert server.event("end", 30)["octets"] == 40 * 4 * MIB


@pytest.mark.parametrize("limit", [1, 100, 1000, 65536, 300_000])
def test_d1_limit_holds_to_the_octet(serve: Serve, limit: int) -> None:
    server = serve("sink", max_size=limit)
    with opened(server.port, deflate=OFFER) as peer:
        peer.frame(BINARY, deflated(bytes(limit)), rsv=RSV1)
        peer.close()
        expect(peer, 1000)
    for data in (bytes(limit + 1), os.urandom(limit + 1)):
        with opened(server.port, deflate=OFFER) as peer:
            peer.frame(BINARY, deflated(data), rsv=RSV1)
            expect(peer, 1009)


@pytest.mark.skipif(UNDER_ASAN, reason="each allocation has a margin of its own")
def test_d2_no_context_before_the_first_compressed_message(fresh: Host) -> None:
    server = fresh.serve()
    with opened(server.port, deflate=OFFER) as peer:
        peer.frame(BINARY, deflated(b"hello" * 20), rsv=RSV1)
        peer.recv()
    before = fresh.rss()
    peers = [opened(server.port, deflate=OFFER) for _ in range(200)]
    idle = (fresh.rss() - before) / 200
    for peer in peers:
        peer.frame(BINARY, deflated(b"hello" * 20), rsv=RSV1)
        peer.recv()
    used = (fresh.rss() - before) / 200
    for peer in peers:
        peer.sock.close()
    assert idle < 12 << 10, f"{idle / 1024:.0f} KiB idle"
    assert used < 60 << 10, f"{used / 1024:.0f} KiB in use"


def test_d2_context_is_freed_when_idle(host: Host) -> None:
    if not host.target.own:
        pytest.skip("the target keeps it")
    server = host.serve(ping_interval=0.2, ping_timeout=None)
    message = b"hello" * 20
    data = deflated(message)
    with opened(server.port, deflate=OFFER) as peer:

        def reply() -> bytes:
            peer.frame(BINARY, data, rsv=RSV1)
            while (received := peer.recv()).opcode == PING:
                pass
            return received.payload

        first, deadline = reply(), time.monotonic() + 20
        while len(reply()) >= len(first):  # a shorter one refers to the one before
            assert time.monotonic() < deadline
        for _ in range(3):
            assert peer.recv().opcode == PING
        assert reply() == first  # which refers to nothing, again
    server.close()


@pytest.mark.parametrize("bits", range(8, 16))
def test_d3_server_keeps_to_the_window_it_promised(echo: Served, bits: int) -> None:
    offer = f"permessage-deflate; server_max_window_bits={bits}"
    with tcp(echo.port) as peer:
        peer.send(request(Sec_WebSocket_Extensions=offer))
        accepted = peer.head().headers.get("sec-websocket-extensions", "")
        if not accepted:
            assert bits == 8  # the one size that zlib cannot write
            return
        parameters = dict(
            part.strip().partition("=")[::2] for part in accepted.split(";")[1:]
        )
        assert int(parameters["server_max_window_bits"]) <= bits
        block = os.urandom(1 << 13)
        data = (block + block[::-1]) * 3 + block[:200] * 50
        peer.frame(BINARY, data)
        reply = peer.recv()
        assert reply.rsv == RSV1
        unpacker = zlib.decompressobj(wbits=-bits)
        assert unpacker.decompress(reply.payload + b"\0\0\xff\xff") == data


BROKEN = [
    pytest.param(b"\xff" * 20, id="reserved block type"),
    pytest.param(b"\x07", id="block type 3"),
    pytest.param(b"\x00\x05\x00\x00\x00hello", id="length without its complement"),
    pytest.param(b"\x4a\x03\x05", id="distance before the start"),
    pytest.param(os.urandom(1) + b"\xed" * 300, id="noise"),
]


@pytest.mark.parametrize("data", BROKEN)
def test_d4_broken_data(echo: Served, data: bytes) -> None:
    with opened(echo.port, deflate=OFFER) as peer:
        peer.frame(TEXT, data, rsv=RSV1)
        before, closing, _ = peer.until_close()
        assert before == []
        assert closing is not None
        assert closing.code in {1007, 1002}


EXAMPLES = {
    "7.2.3.1": bytes.fromhex("f248cdc9c90700"),
    "7.2.3.3 no compression": bytes.fromhex("000500faff48656c6c6f00"),
    "7.2.3.4 BFINAL": bytes.fromhex("f348cdc9c9070000"),
    "7.2.3.5 two blocks": bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", "")),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_d4_every_legal_form_is_read(echo: Served, example: str) -> None:
    with opened(echo.port, deflate=f"{OFFER}; server_no_context_takeover") as peer:
        for _ in range(2):  # the second meets the context that the first left
            peer.frame(TEXT, EXAMPLES[example], rsv=RSV1)
            reply = peer.recv()
            data = reply.payload
            if reply.rsv == RSV1:
                data = zlib.decompressobj(wbits=-15).decompress(data + b"\0\0\xff\xff")
            assert data == b"Hello"


def test_d4_compressed_text_is_checked(echo: Served) -> None:
    with opened(echo.port, deflate=OFFER) as peer:
        peer.frame(TEXT, deflated(b"abc\xff"), rsv=RSV1)
        expect(peer, 1007)


def test_d4_client_drops_broken_data(host: Host) -> None:
    with Listening() as listening:
        client = host.connect(listening.uri, "sink")
        with listening.tcp() as peer:
            head = peer.head()
            assert offered(head, OFFER)
            peer.send(response(head, f"Sec-WebSocket-Extensions: {OFFER}"))
            peer.frame(TEXT, b"\x07" * 9, rsv=RSV1)
            _, closing, _ = closed_by_client(peer)
            assert closing is not None
            assert closing.code in {1007, 1002}
    assert client.event("end")["messages"] == 0


def test_d5_cancelled_sends_keep_the_stream_whole(host: Host) -> None:
    server = host.serve("cut_sends", write_limit=1024, max_send_buffer=None)
    unpacker = zlib.decompressobj(wbits=-15)
    with opened(server.port, deflate=OFFER, receive_buffer=4096) as peer:
        whole = bytes(range(256)) * 256
        count = 0
        while True:
            time.sleep(0.0005)
            received = peer.recv()
            data = received.payload
            if received.rsv == RSV1:
                data = unpacker.decompress(data + b"\0\0\xff\xff")
            if received.opcode == TEXT:
                assert data == b"end"
                break
            assert data == whole
            count += 1
        assert 0 < count <= 200
        peer.close()
    server.close()
