"""Bad opening handshakes, as a server meets them: rows H-1 to H-16."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.faults.rawpeer import (
    TEXT,
    Head,
    accept_value,
    close_frame,
    frame,
    opened,
    request,
    tcp,
)
from tests.faults.test_floods import MIB, at_most
from tests.support.process import Host, Served

Serve = Callable[..., Served]
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def answer(port: int, octets: bytes) -> Head:
    """Send octets, return the head of the answer; after a refusal TCP must end."""
    with tcp(port) as peer:
        peer.send(octets)
        head = peer.head()
        if head.status != 101:
            assert peer.ended() == "eof"
        return head


def statuses(port: int, octets: bytes) -> list[bytes]:
    """Send octets and return every status line that comes back until TCP ends."""
    with tcp(port) as peer:
        peer.send(octets)
        peer.half_close()
        try:
            while True:
                peer.fill(len(peer.buffer) + 1)
        except Exception:
            lines = bytes(peer.buffer).split(b"\r\n")
            return [line for line in lines if line.startswith(b"HTTP/1.")]


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(request(drop=("Host",)), id="no Host"),
        pytest.param(request(extra=("Host: other",)), id="two Host"),
        pytest.param(request(drop=("Sec-WebSocket-Key",)), id="no key"),
        pytest.param(request(extra=(f"Sec-WebSocket-Key: {KEY}",)), id="two keys"),
        pytest.param(
            request(Sec_WebSocket_Key=KEY, extra=(f"sec-websocket-key: {KEY}",)),
            id="the same key twice",
        ),
    ],
)
def test_h1_missing_or_repeated_header(echo: Served, octets: bytes) -> None:
    assert answer(echo.port, octets).status == 400


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(request(line="POST / HTTP/1.1"), {405}, id="POST"),
        pytest.param(request(line="HEAD / HTTP/1.1"), {405}, id="HEAD"),
        pytest.param(request(line="get / HTTP/1.1"), {400, 405, 501}, id="get"),
        pytest.param(request(line="GET / HTTP/1.0"), {400, 426, 505}, id="HTTP/1.0"),
        pytest.param(request(line="GET / HTTP/2.0"), {400, 505}, id="HTTP/2.0"),
        pytest.param(request(line="GET /"), {400}, id="no version"),
        pytest.param(request(line="GET  / HTTP/1.1"), {400}, id="two spaces"),
        pytest.param(request(drop=("Upgrade",)), {400, 426}, id="no Upgrade"),
        pytest.param(request(Upgrade="h2c"), {400, 426}, id="Upgrade: h2c"),
        pytest.param(request(drop=("Connection",)), {400, 426}, id="no Connection"),
        pytest.param(request(Connection="keep-alive"), {400, 426}, id="keep-alive"),
        pytest.param(request(Connection="close"), {400, 426}, id="close"),
    ],
)
def test_h2_not_an_upgrade(echo: Served, octets: bytes, status: set[int]) -> None:
    assert answer(echo.port, octets).status in status


@pytest.mark.parametrize("version", ["8", "7", "12", "14", "13.0", "", "abc", "13, 8"])
def test_h2_other_version(echo: Served, version: str) -> None:
    head = answer(echo.port, request(Sec_WebSocket_Version=version))
    assert head.status in {400, 426}
    if version in {"8", "7", "12", "14"}:
        assert head.status == 426
        assert head.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    "changes",
    [
        {"Connection": "keep-alive, Upgrade"},  # what Firefox sends
        {"Connection": "upgrade"},
        {"Connection": "UPGRADE,keep-alive"},
        {"Upgrade": "WebSocket"},
        {"Upgrade": "WEBSOCKET"},
    ],
)
def test_h2_token_lists_are_read_as_such(echo: Served, changes: dict[str, str]) -> None:
    octets = request(Sec_WebSocket_Key=KEY, **changes)  # type: ignore[arg-type]
    head = answer(echo.port, octets)
    assert head.status == 101
    expected = accept_value(Head("", {"sec-websocket-key": KEY}, b""))
    assert head.headers["sec-websocket-accept"] == expected


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        "dGhlIHNhbXBsZSBub25jZQ",  # no padding
        "dGhlIHNhbXBsZSBub25j",  # 15 octets
        "dGhlIHNhbXBsZSBub25jZSE=",  # 17 octets
        "dGhlIHNhbXBsZSBub25jZQ== ,",
        "dGhl IHNhbXBsZSBub25jZQ==",
        "!!!!IHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ-_",
    ],
)
def test_h3_key_of_another_form(echo: Served, key: str) -> None:
    assert answer(echo.port, request(Sec_WebSocket_Key=key)).status == 400


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(request("/" + "a" * 9000), {414, 431}, id="path of 9 KB"),
        pytest.param(request(extra=("X-A: " + "a" * 9000,)), {431}, id="line of 9 KB"),
        pytest.param(
            request(extra=tuple(f"X-{n}: {'a' * 4000}" for n in range(10))),
            {431},
            id="head of 40 KB",
        ),
        pytest.param(
            request(extra=tuple(f"X-{n}: a" for n in range(129))),
            {431},
            id="134 headers",
        ),
    ],
)
def test_h4_over_a_limit(echo: Served, octets: bytes, status: set[int]) -> None:
    assert answer(echo.port, octets).status in status


def test_h4_under_the_limits(echo: Served) -> None:
    extra = tuple(f"X-{n}: {'a' * 230}" for n in range(100))
    assert answer(echo.port, request("/" + "a" * 4000, extra=extra)).status == 101


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(request("/" + "a" * 65536), id="path of 64 KiB"),
        pytest.param(request(extra=("X-A: " + "a" * (1 << 20),)), id="value of 1 MiB"),
        pytest.param(
            request(extra=tuple(f"X-{n}: a" for n in range(10_000))),
            id="10,000 headers",
        ),
        pytest.param(
            request(extra=("Sec-WebSocket-Protocol: " + "a," * 32768,)),
            id="64 KiB list",
        ),
    ],
)
def test_h4_header_bomb(fresh: Host, octets: bytes) -> None:
    server = fresh.serve()
    answer(server.port, request())
    before = fresh.reset_peak()
    used = fresh.cpu()
    with at_most(fresh, before, 2 * MIB):
        for _ in range(5):
            found = {line[9:12] for line in statuses(server.port, octets)}
            assert found <= {b"431", b"414"}
    assert fresh.cpu() - used < 2
    assert answer(server.port, request()).status == 101


@pytest.mark.parametrize("filler", [b"a", b"X-A: a\r\n", b"\r\n", b"GET / "])
def test_h5_head_without_end(fresh: Host, filler: bytes) -> None:
    server = fresh.serve()
    answer(server.port, request())
    before = fresh.reset_peak()
    piece = filler * (65536 // len(filler))
    with at_most(fresh, before, MIB), tcp(server.port) as peer:
        end = time.monotonic() + 20
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # cut, not kept
            while time.monotonic() < end:
                peer.sock.sendall(piece)


def test_h6_silent_connection(serve: Serve) -> None:
    server = serve(open_timeout=0.5)
    start = time.monotonic()
    with tcp(server.port) as peer:
        peer.ended()
    assert 0.4 < time.monotonic() - start < 8


def test_h6_one_octet_now_and_then(serve: Serve) -> None:
    server = serve(open_timeout=0.5)
    start = time.monotonic()
    with tcp(server.port) as peer:
        peer.sock.settimeout(0.05)
        how = ""
        for octet in request() * 10:
            peer.send(bytes([octet]))
            try:
                peer.fill(len(peer.buffer) + 1)
            except TimeoutError:
                continue
            except Exception as exc:
                how = type(exc).__name__
                break
    assert how == "EndedError"
    assert 0.4 < time.monotonic() - start < 8
    assert not peer.buffer or peer.buffer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(request(extra=("X-A: a", " folded")), id="obs-fold"),
        pytest.param(request(extra=("X-A : a",)), id="space before colon"),
        pytest.param(request(extra=(" X-A: a",)), id="space before name"),
        pytest.param(request(extra=("X-A a",)), id="no colon"),
        pytest.param(request(extra=(": a",)), id="empty name"),
        pytest.param(request(extra=("X(A): a",)), id="bad name"),
        pytest.param(request(extra=("X-\x00A: a",)), id="NUL in name"),
        pytest.param(request(extra=("X-A: a\x00b",)), id="NUL in value"),
        pytest.param(request(extra=("X-A: a\rb",)), id="bare CR"),
        pytest.param(request(extra=("X-A: a\nX-B: b",)), id="bare LF"),
        pytest.param(request("/a\x00b"), id="NUL in path"),
        pytest.param(request("/a b"), id="space in path"),
        pytest.param(request().replace(b"\r\n", b"\n"), id="LF only"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 8, id="TLS"),
    ],
)
def test_h7_not_http(echo: Served, octets: bytes) -> None:
    with tcp(echo.port) as peer:
        peer.send(octets if octets.endswith(b"\n") else octets + b"\r\n\r\n")
        assert peer.head().status == 400
        assert peer.ended() in {"eof", "reset"}


BODY = frame(TEXT, "smuggled")


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param((f"Content-Length: {len(BODY)}",), id="a body"),
        pytest.param(("Transfer-Encoding: chunked",), id="chunked"),
        pytest.param(
            (f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked"),
            id="both",
        ),
        pytest.param(("Content-Length: 0", "Content-Length: 5"), id="two lengths"),
        pytest.param(("Content-Length: +5",), id="signed length"),
        pytest.param(("Content-Length: -1",), id="negative length"),
        pytest.param(("Content-Length: 5, 5",), id="list of lengths"),
        pytest.param(("Transfer-Encoding: identity",), id="identity"),
    ],
)
def test_h8_upgrade_with_a_body(echo: Served, extra: tuple[str, ...]) -> None:
    with tcp(echo.port) as peer:
        peer.send(request(extra=extra) + BODY)
        assert peer.head().status == 400
        peer.sock.settimeout(5)
        with pytest.raises(Exception, match=r"eof|reset"):
            peer.fill(65536)
        assert b"smuggled" not in peer.buffer


def test_h8_no_second_request_after_a_refusal(echo: Served) -> None:
    refused = request(drop=("Sec-WebSocket-Key",))
    assert [line[9:12] for line in statuses(echo.port, refused + request())] == [b"400"]


def test_h8_second_request_in_place_of_frames(echo: Served) -> None:
    lines = statuses(echo.port, request() + request())
    assert [line[9:12] for line in lines] == [b"101"]


HOSTILE = [
    "a," * 4000,
    " " * 8000 + "x",
    "\t ," * 2600,
    '"' * 8000,
    "a" * 8000,
    'a;b="' + "\\" * 7900,
    ("permessage-deflate;" * 400)[:8000],
    ("permessage-deflate, " * 400)[:8000],
    "constructor",
    "__proto__; toString",
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize(
    "name",
    ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Cookie", "Connection"],
)
def test_h9_hostile_value_costs_nothing(echo: Served, name: str, value: str) -> None:
    kept = () if name != "Connection" else ("Connection",)
    octets = request(drop=kept, extra=(f"{name}: {value}",))
    before = echo.host.cpu()
    for _ in range(5):
        head = answer(echo.port, octets)
        assert head.status in {101, 400, 426}
    # CPU time of five; it is counted in hundredths of a second.
    assert echo.host.cpu() - before <= 0.1


@pytest.mark.parametrize(
    "name",
    [
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Upgrade",
        "Connection",
        "Origin",
        "Host",
        "Cookie",
    ],
)
@pytest.mark.parametrize("value", ["\xff\xfe", "a\x80", "\xc3\xa9", "a\x7f", "\x01"])
def test_h10_odd_octets_in_negotiated_headers(
    host: Host, name: str, value: str
) -> None:
    server = host.serve(subprotocols=["chat"], origins=[None, "http://good"])
    head = answer(server.port, request(drop=(name,), extra=(f"{name}: {value}",)))
    assert head.status == 101 or 400 <= head.status < 500
    good = request(Sec_WebSocket_Protocol="chat")
    assert answer(server.port, good).status == 101
    server.close()


@pytest.mark.parametrize(
    "value",
    ["", ",", ",,,", "websocket/13", "web socket", "constructor", "\x01", "w" * 8000],
)
def test_h11_garbage_upgrade(echo: Served, value: str) -> None:
    status = answer(echo.port, request(Upgrade=value)).status
    assert 400 <= status < 500


def test_h12_no_subprotocol_unless_configured(echo: Served) -> None:
    head = answer(echo.port, request(Sec_WebSocket_Protocol="chat, superchat"))
    assert head.status == 101
    assert "sec-websocket-protocol" not in head.headers


def test_h12_only_what_both_know(host: Host) -> None:
    server = host.serve(subprotocols=["chat"])
    head = answer(server.port, request(Sec_WebSocket_Protocol="superchat, chat"))
    assert head.headers["sec-websocket-protocol"] == "chat"
    server.close()


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (["http://good"], "http://good", 101),
        (["http://good"], "http://evil", 403),
        (["http://good"], "http://good.evil", 403),
        (["http://good"], "null", 403),
        (["http://good"], "", 403),
        (["http://good"], None, 403),
        ([None, "http://good"], None, 101),
        ([None], "http://good", 403),
    ],
)
def test_h13_origin(
    host: Host, origins: list[str | None], origin: str | None, status: int
) -> None:
    server = host.serve(origins=origins)
    extra = () if origin is None else (f"Origin: {origin}",)
    assert answer(server.port, request(extra=extra)).status == status
    if status == 101:
        assert server.event("open")
    else:
        assert not server.seen("open")
    server.close()


def test_h13_two_origins(host: Host) -> None:
    server = host.serve(origins=["http://good"])
    extra = ("Origin: http://good", "Origin: http://evil")
    assert answer(server.port, request(extra=extra)).status in {400, 403}
    server.close()


BAD_OFFERS = [
    "permessage-deflate; unknown",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; client_no_context_takeover=1",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=7",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits=010",
    "permessage-deflate; server_max_window_bits=1e1",
    "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
    "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; client_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=abc",
    "permessage-deflate; client_max_window_bits; client_max_window_bits",
    "x-webkit-deflate-frame",
]


@pytest.mark.parametrize("offer", BAD_OFFERS)
def test_h14_bad_offer_is_declined(echo: Served, offer: str) -> None:
    head = answer(echo.port, request(Sec_WebSocket_Extensions=offer))
    assert head.status == 101
    assert "sec-websocket-extensions" not in head.headers


@pytest.mark.parametrize("offer", BAD_OFFERS)
def test_h14_next_offer_is_tried(echo: Served, offer: str) -> None:
    offers = f"{offer}, permessage-deflate"
    head = answer(echo.port, request(Sec_WebSocket_Extensions=offers))
    assert head.status == 101
    assert head.headers["sec-websocket-extensions"].startswith("permessage-deflate")


@pytest.mark.parametrize(
    "offer", ["permessage-deflate;", "permessage-deflate=1", "=;,"]
)
def test_h14_not_even_a_list(echo: Served, offer: str) -> None:
    head = answer(echo.port, request(Sec_WebSocket_Extensions=offer))
    assert head.status in {101, 400}
    assert "sec-websocket-extensions" not in head.headers


@pytest.mark.parametrize(
    ("target", "status", "resource"),
    [
        ("http://127.0.0.1/a", 101, "/a"),  # what the Host header says, too
        ("WS://127.0.0.1/b", 101, "/b"),
        ("//internal.test/a", 101, "//internal.test/a"),  # a path, and no host
        ("http://internal.test/admin", 400, ""),
        ("http://127.0.0.1:81/", 400, ""),
        ("http://internal.test@127.0.0.1/", 400, ""),
        ("http://127.0.0.1?/", 400, ""),
        ("ftp://127.0.0.1/", 400, ""),
        ("*", 400, ""),
        ("127.0.0.1:80", 400, ""),
        ("/a#b", 400, ""),
    ],
)
def test_h15_other_forms_of_target(
    echo: Served, target: str, status: int, resource: str
) -> None:
    with tcp(echo.port) as peer:
        peer.send(request(target))
        assert peer.head().status == status
        if status == 101:
            peer.send(close_frame())
            peer.until_close()
            assert echo.end_of(resource)["messages"] == 0


def test_h16_no_header_of_the_servers_is_split(host: Host) -> None:
    evil = "x\r\nSet-Cookie: a=b"
    ident = host.send("serve", script="echo", options={"server_header": evil})
    event = host.wait(id=ident)
    if event["event"] == "failed":
        assert {"ValueError", "InvalidHeaderValue"} & {*event["kinds"]}
        return
    with tcp(event["port"]) as peer:
        peer.send(request())
        assert "set-cookie" not in peer.head().headers


def test_octets_behind_the_handshake_are_frames(echo: Served) -> None:
    with tcp(echo.port) as peer:
        peer.send(request() + frame(TEXT, "one") + frame(TEXT, "two"))
        assert peer.head().status == 101
        assert [peer.recv().payload for _ in range(2)] == [b"one", b"two"]


@pytest.mark.parametrize("step", [1, 7])
def test_handshake_in_small_pieces(echo: Served, step: int) -> None:
    with tcp(echo.port) as peer:
        peer.send_slowly(request() + frame(TEXT, "hello"), step)
        assert peer.head().status == 101
        assert peer.recv().payload == b"hello"


def test_opened_sees_the_path(echo: Served) -> None:
    with opened(echo.port, "/chat?room=1") as peer:
        peer.frame(TEXT, "hello")
        assert peer.recv().payload == b"hello"
    assert echo.event("open", path="/chat?room=1")
