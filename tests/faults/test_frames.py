"""Illegal frames, against a server and against a client: rows F-1 to F-8, F-14, C-1."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.faults.proxy import Proxy
from tests.faults.rawpeer import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    Frame,
    Listening,
    Peer,
    close_frame,
    frame,
    header,
    opened,
)
from tests.support.process import Host, Served
from tests.support.targets import chosen

Serve = Callable[..., Served]
OFFER = "permessage-deflate"
TARGET = chosen()
NUMBERS = itertools.count()


class Bad(NamedTuple):
    """Octets of a client that end the connection, and the code that says why."""

    row: str
    what: str
    octets: Callable[[bytes | None], bytes]
    code: int
    deflate: bool = False


def deflated(data: bytes) -> bytes:
    """Compress a message as RFC 7692 7.2.1 says."""
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def one(opcode: int, payload: bytes = b"", **options: int) -> Callable[..., bytes]:
    """Return a maker of one frame, given the key."""
    return lambda key: frame(opcode, payload, key=key, **options)  # type: ignore[arg-type]


def only_header(opcode: int, length: int, **options: int) -> Callable[..., bytes]:
    """Return a maker of a header whose payload never comes, given the key."""
    return lambda key: header(opcode, length, key=key, **options)  # type: ignore[arg-type]


def both(*makers: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return a maker of several frames in a row."""
    return lambda key: b"".join(maker(key) for maker in makers)


BAD = [
    *(
        Bad("F-1", f"RSV {rsv:#x} on opcode {opcode}", one(opcode, b"x", rsv=rsv), 1002)
        for opcode in (TEXT, BINARY, PING, PONG)
        for rsv in (RSV1, RSV2, RSV3)
    ),
    Bad("F-1", "RSV on close", one(CLOSE, b"\x03\xe8", rsv=RSV3), 1002),
    Bad("F-1", "RSV1 in a header alone", only_header(TEXT, 100, rsv=RSV1), 1002),
    Bad("F-1", "RSV2 beside deflate", one(TEXT, b"x", rsv=RSV2), 1002, True),
    Bad("F-1", "RSV1 and RSV3", one(TEXT, b"x", rsv=RSV1 | RSV3), 1002, True),
    Bad("F-1", "RSV1 on ping, deflate", one(PING, b"x", rsv=RSV1), 1002, True),
    Bad("F-1", "RSV1 on close, deflate", one(CLOSE, b"", rsv=RSV1), 1002, True),
    Bad(
        "F-1",
        "RSV1 on a continuation",
        both(one(TEXT, b"x", fin=False), one(CONT, b"x", rsv=RSV1)),
        1002,
        True,
    ),
    *(
        Bad("F-2", f"opcode {opcode}", one(opcode, b"x"), 1002)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ),
    Bad("F-2", "opcode 3 within a message", both(one(TEXT, fin=False), one(3)), 1002),
    Bad("F-3", "text", lambda key: frame(TEXT, "x", key=None if key else KEY), 1002),
    Bad("F-3", "empty", lambda key: frame(TEXT, "", key=None if key else KEY), 1002),
    Bad("F-3", "ping", lambda key: frame(PING, "x", key=None if key else KEY), 1002),
    Bad("F-4", "ping of 126", only_header(PING, 126), 1002),
    Bad("F-4", "pong of 64 KiB", only_header(PONG, 65536), 1002),
    Bad("F-4", "close of 126", only_header(CLOSE, 126), 1002),
    Bad("F-4", "ping without FIN", only_header(PING, 1, fin=False), 1002),
    Bad("F-4", "pong without FIN", only_header(PONG, 1, fin=False), 1002),
    Bad("F-4", "close without FIN", only_header(CLOSE, 2, fin=False), 1002),
    Bad("F-5", "continuation first", one(CONT, b"x"), 1002),
    Bad("F-5", "continuation without FIN first", one(CONT, b"x", fin=False), 1002),
    Bad(
        "F-5",
        "text within a message",
        both(one(TEXT, b"x", fin=False), one(TEXT, b"x")),
        1002,
    ),
    Bad(
        "F-5",
        "binary within a message",
        both(one(TEXT, b"x", fin=False), one(BINARY, b"x", fin=False)),
        1002,
    ),
    Bad("F-6", "length 2^63", only_header(BINARY, 1 << 63), 1002),
    Bad("F-6", "length 2^64 - 1", only_header(BINARY, (1 << 64) - 1), 1002),
    Bad("F-6", "length 2^63 - 1", only_header(BINARY, (1 << 63) - 1), 1009),
    Bad("F-6", "length 2^40", only_header(BINARY, 1 << 40), 1009),
    Bad("F-6", "length 2^32 + 1", only_header(BINARY, (1 << 32) + 1), 1009),
    Bad(
        "F-6",
        "sum over 2^63",
        both(one(BINARY, b"x", fin=False), only_header(CONT, (1 << 63) - 1)),
        1009,
    ),
    Bad("F-7", "125 in two octets", only_header(BINARY, 125, form=2), 1002),
    Bad("F-7", "0 in two octets", only_header(BINARY, 0, form=2), 1002),
    Bad("F-7", "65535 in eight octets", only_header(BINARY, 65535, form=8), 1002),
    Bad("F-7", "1 in eight octets", only_header(TEXT, 1, form=8), 1002),
    Bad("F-7", "ping of 5 in two octets", only_header(PING, 5, form=2), 1002),
    Bad("F-8", "1 MiB + 1 in one frame", only_header(BINARY, (1 << 20) + 1), 1009),
    Bad(
        "F-8",
        "1 MiB + 1 in two",
        both(one(BINARY, bytes(1 << 19), fin=False), only_header(CONT, (1 << 19) + 1)),
        1009,
    ),
    Bad(
        "F-8",
        "1 MiB + 1 after inflation",
        one(BINARY, deflated(bytes((1 << 20) + 1)), rsv=RSV1),
        1009,
        True,
    ),
    Bad("C-1", "close of one octet", one(CLOSE, b"\x03"), 1002),
    *(
        Bad("C-1", f"code {code}", one(CLOSE, struct.pack("!H", code)), 1002)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999)
    ),
    *(
        Bad("C-1", f"code {code}", one(CLOSE, struct.pack("!H", code)), 1002)
        for code in (5000, 9999, 65535)
    ),
]
IDS = [f"{bad.row} {bad.what}" for bad in BAD]

CODES = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]


def judge(frames: tuple[list[Frame], Frame | None, str], code: int) -> None:
    """Check what came back: nothing, the close frame with the code, the end of TCP."""
    before, closing, how = frames
    assert before == []
    assert closing is not None, "no close frame"
    assert closing.code == code
    assert closing.payload[2:].decode().isprintable()
    assert how == "eof"


def one_log_line(host: Host, since: int, code: int) -> None:
    """Check that a bad peer is one line of the log, which says why."""
    if not TARGET.own:
        assert len(host.log) - since <= 4, host.log[since:]
        return

    def lines() -> list[str]:
        # That a server listens may come late: it is another stream than the events.
        return [line for line in host.log[since:] if "server listening" not in line]

    with host.changed:
        host.changed.wait_for(lines, 10)
        (line,) = lines()
    assert line.startswith("INFO wsfast.server ('127.0.0.1', "), line
    assert f") failed with {code}: " in line


@pytest.mark.parametrize("bad", BAD, ids=IDS)
def test_server_fails_the_connection(host: Host, echo: Served, bad: Bad) -> None:
    _, line = host.mark()
    path = f"/{next(NUMBERS)}"
    with opened(echo.port, path, deflate=OFFER if bad.deflate else None) as peer:
        peer.send(bad.octets(KEY))
        judge(peer.until_close(), bad.code)
    end = echo.end_of(path)
    assert end["messages"] == 0
    assert end["error"] == "ConnectionClosedError"
    assert end["sent"][0] == bad.code
    assert end["rcvd"] is None or bad.row == "C-1"
    assert end["reason_code"] or not TARGET.own
    one_log_line(host, line, bad.code)


@pytest.mark.parametrize("bad", BAD, ids=IDS)
def test_client_fails_the_connection(host: Host, bad: Bad) -> None:
    with Listening() as listening:
        client = host.connect(listening.uri, "sink")
        extra = (f"Sec-WebSocket-Extensions: {OFFER}",) if bad.deflate else ()
        with listening.opened(*extra) as peer:
            peer.send(bad.octets(None))
            before, closing, _ = closed_by_client(peer)
        assert before == []
        assert closing is not None
        assert closing.code == bad.code
        assert closing.key is not None
    end = client.event("end")
    assert end["messages"] == 0
    assert end["error"] == "ConnectionClosedError"
    assert end["sent"][0] == bad.code
    assert end["reason_code"] or not TARGET.own


def closed_by_client(peer: Peer) -> tuple[list[Frame], Frame | None, str]:
    """Read what a client says to its end, ending TCP as the server has to."""
    before: list[Frame] = []
    while True:
        received = peer.recv()
        if received.opcode == CLOSE:
            peer.half_close()
            return before, received, peer.ended()
        before.append(received)


def test_f5_continuation_after_the_end(echo: Served) -> None:
    with opened(echo.port) as peer:
        octets = frame(TEXT, "x", fin=False) + frame(PING) + frame(CONT, "y")
        peer.send(octets + frame(CONT, "z"))
        before, closing, _ = peer.until_close()
        assert {(f.opcode, f.payload) for f in before} == {(PONG, b""), (TEXT, b"xy")}
        assert closing is not None
        assert closing.code == 1002


@pytest.mark.parametrize("code", CODES)
def test_c1_codes_that_are_allowed(echo: Served, code: int) -> None:
    with opened(echo.port) as peer:
        peer.close(code, "reason")
        _, closing, how = peer.until_close()
        assert closing is not None
        assert closing.code == code
        assert how == "eof"


def test_c1_no_code_is_answered_by_no_code(echo: Served) -> None:
    with opened(echo.port) as peer:
        peer.close(None)
        _, closing, how = peer.until_close()
        assert closing is not None
        assert closing.payload in {b"", b"\x03\xe8"}
        assert how == "eof"


def test_c2_data_after_close_is_dropped(echo: Served) -> None:
    with opened(echo.port) as peer:
        tail = frame(TEXT, "late") + frame(PING, "late") + frame(TEXT, b"\xff" * 99)
        peer.send(frame(TEXT, "in time") + close_frame() + tail)
        before, closing, _ = peer.until_close()
        assert [received.payload for received in before] == [b"in time"]
        assert closing is not None
        assert closing.code == 1000


def test_what_came_before_the_error_is_answered_first(echo: Served) -> None:
    with opened(echo.port) as peer:
        good = frame(TEXT, "one") + frame(PING, "two") + frame(BINARY, b"three")
        peer.send(good + frame(3, b"bad"))
        before, closing, _ = peer.until_close()
        # Replies may overtake each other, not be lost.
        assert sorted(before) == sorted(
            [
                Frame(TEXT, b"one", True, 0, None),
                Frame(PONG, b"two", True, 0, None),
                Frame(BINARY, b"three", True, 0, None),
            ]
        )
        assert closing is not None
        assert closing.code == 1002


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 1 << 20])
def test_f8_up_to_the_limit(echo: Served, size: int) -> None:
    with opened(echo.port) as peer:
        peer.frame(BINARY, bytes(size))
        assert peer.recv().payload == bytes(size)


@pytest.mark.parametrize("limit", [0, 1, 125, 126, 1000, 65536])
def test_f8_at_the_limit_and_one_more(serve: Serve, limit: int) -> None:
    server = serve("sink", max_size=limit)
    for parts in ([limit], [limit // 2, limit - limit // 2]):
        with opened(server.port) as peer:
            last = len(parts) - 1
            for n, part in enumerate(parts):
                peer.frame(CONT if n else TEXT, b"a" * part, fin=n == last)
            peer.close()
            _, closing, _ = peer.until_close()
            assert closing is not None
            assert closing.code == 1000
        with opened(server.port) as peer:
            for n, part in enumerate(parts):
                more = n == last
                peer.frame(CONT if n else TEXT, b"a" * (part + more), fin=more)
            _, closing, _ = peer.until_close()
            assert closing is not None
            assert closing.code == 1009


def test_f8_no_limit(serve: Serve) -> None:
    server = serve(max_size=None)
    with opened(server.port) as peer:
        peer.frame(BINARY, bytes(5 << 20))
        assert len(peer.recv().payload) == 5 << 20


def messages() -> tuple[bytes, list[Frame]]:
    """Return a stream of frames of every shape, and what an echo server answers."""
    octets, answers = b"", []
    for size in (0, 1, 5, 125, 126, 127, 300, 65535, 65536):
        text = ("aé漢🎈" * (size // 10 + 1)).encode()[:size].decode(errors="ignore")
        octets += frame(TEXT, text) + frame(PING, f"{size}")
        octets += frame(BINARY, bytes(size)[:7], fin=False)
        octets += frame(PING, "between") + frame(CONT, b"", fin=False)
        octets += frame(CONT, bytes(size)[7:])
        answers += [
            Frame(TEXT, text.encode(), True, 0, None),
            Frame(PONG, f"{size}".encode(), True, 0, None),
            Frame(PONG, b"between", True, 0, None),
            Frame(BINARY, bytes(size), True, 0, None),
        ]
    return octets, answers


def data_and_control(frames: list[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Part data frames from control frames: only within each is the order given."""
    return [f for f in frames if f.opcode < 8], [f for f in frames if f.opcode >= 8]


@pytest.mark.parametrize("step", [1, 2, 3, 1000, 65536, 1 << 30])
def test_f14_any_split_gives_the_same(echo: Served, step: int) -> None:
    octets, answers = messages()
    if step < 1000:  # long payloads would only take time
        octets, answers = messages_within(20_000)
    with opened(echo.port) as peer:
        peer.send_slowly(octets, step)
        got = [peer.recv() for _ in answers]
    assert data_and_control(got) == data_and_control(answers)


def messages_within(limit: int) -> tuple[bytes, list[Frame]]:
    """Return short messages of no more octets than the limit."""
    octets, answers = b"", []
    n = 0
    while len(octets) < limit - 200:
        n += 1
        text = "é" * (n % 80)
        octets += frame(TEXT, text)
        answers.append(Frame(TEXT, text.encode(), True, 0, None))
    return octets, answers


def test_f14_many_frames_in_one_segment(echo: Served) -> None:
    with opened(echo.port) as peer:
        peer.send(b"".join(frame(TEXT, str(n)) for n in range(5000)))
        got = [peer.recv().payload for _ in range(5000)]
    assert got == [str(n).encode() for n in range(5000)]


def test_f14_through_a_network_of_single_octets(host: Host, echo: Served) -> None:
    texts = ["a", "é" * 200, "x" * 3000, ""]
    with Proxy(echo.port, split=1) as proxy:
        client = host.connect(proxy.uri, "ask", [*texts, "end"])
        client.event("open")
        with opened(proxy.port) as peer:
            for text in texts:
                peer.frame(TEXT, text)
                assert peer.recv().payload == text.encode()
            peer.close()
            peer.until_close()
        client.cancel()
        end = client.event("end")
    assert end["messages"] == 5
    assert end["octets"] == sum(map(len, texts)) + 3
