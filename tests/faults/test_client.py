"""Servers that a client should not trust: rows K-1 to K-9."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Callable

import pytest

from tests.faults.rawpeer import (
    TEXT,
    Head,
    Listening,
    Peer,
    accept_value,
    frame,
    response,
)
from tests.faults.test_floods import MIB, at_most
from tests.support.process import Connecting, Event, Host

REFUSALS = {"InvalidHandshake", "NegotiationError"}


def refused(client: Connecting, timeout_s: float = 10) -> Event:
    """Wait for a refusal, which must be of the documented family."""
    event = client.event("refused", timeout_s)
    assert REFUSALS & {*event["kinds"]}, event
    assert event["text"]
    return event


def connect(
    host: Host, answer: Callable[[Head], bytes], **options: object
) -> Connecting:
    """Connect to a server that answers as given and then ends TCP."""
    with Listening() as listening:
        client = host.connect(listening.uri, "sink", **options)
        with listening.tcp() as peer:
            peer.send(answer(peer.head()))
            peer.half_close()
            client.event("done")
        return client


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda h: response(h, drop=("Upgrade",)), id="no Upgrade"),
        pytest.param(lambda h: response(h, Upgrade="h2c"), id="another Upgrade"),
        pytest.param(lambda h: response(h, drop=("Connection",)), id="no Connection"),
        pytest.param(lambda h: response(h, Connection="close"), id="Connection: close"),
        pytest.param(
            lambda h: response(h, drop=("Sec-WebSocket-Accept",)), id="no Accept"
        ),
        pytest.param(
            lambda h: response(h, Sec_WebSocket_Accept="dGhlIHNhbXBsZSBub25jZQ=="),
            id="another Accept",
        ),
        pytest.param(
            lambda h: response(h, Sec_WebSocket_Accept=accept_value(h).lower()),
            id="Accept in lower case",
        ),
        pytest.param(
            lambda h: response(h, f"Sec-WebSocket-Accept: {accept_value(h)}"),
            id="two Accept",
        ),
        pytest.param(lambda h: response(h, line="HTTP/1.1 200 OK"), id="200"),
        pytest.param(lambda h: response(h, line="HTTP/1.1 404 Not Found"), id="404"),
        pytest.param(lambda h: response(h, line="HTTP/1.1 500 Oh"), id="500"),
        pytest.param(
            lambda h: response(h, line="HTTP/1.0 101 Switching Protocols"),
            id="HTTP/1.0",
        ),
        pytest.param(lambda h: response(h, line="HTTP/1.1 abc"), id="no status"),
        pytest.param(lambda h: response(h, line="101 Switching"), id="no version"),
        pytest.param(lambda h: b"", id="nothing"),
        pytest.param(lambda h: b"hello\r\n\r\n", id="not HTTP"),
        pytest.param(lambda h: frame(TEXT, "hello", key=None), id="a frame"),
        pytest.param(lambda h: response(h)[:-2], id="half a head"),
        pytest.param(
            lambda h: response(h).replace(b"\r\n", b"\n"), id="lines ended by LF"
        ),
        pytest.param(lambda h: response(h, "X-A: a", " folded"), id="obs-fold"),
        pytest.param(lambda h: response(h, "X-A : a"), id="space before colon"),
        pytest.param(lambda h: response(h, "X-A: a\x00b"), id="NUL"),
    ],
)
def test_k1_not_a_websocket_server(host: Host, answer: Callable[[Head], bytes]) -> None:
    refused(connect(host, answer))


@pytest.mark.parametrize(
    ("value", "offers"),
    [
        ("permessage-deflate", None),
        ("x-unknown", "deflate"),
        ("permessage-deflate, permessage-deflate", "deflate"),
        ("permessage-deflate; unknown", "deflate"),
        ("permessage-deflate; server_no_context_takeover=1", "deflate"),
        (
            "permessage-deflate; server_no_context_takeover; "
            "server_no_context_takeover",
            "deflate",
        ),
        ("permessage-deflate; server_max_window_bits", "deflate"),
        ("permessage-deflate; server_max_window_bits=7", "deflate"),
        ("permessage-deflate; server_max_window_bits=16", "deflate"),
        ("permessage-deflate; server_max_window_bits=99", "deflate"),
        ("permessage-deflate; server_max_window_bits=08", "deflate"),
        ("permessage-deflate; client_max_window_bits", "deflate"),
        ("permessage-deflate; client_max_window_bits=7", "deflate"),
        ("permessage-deflate; client_max_window_bits=-8", "deflate"),
        ('permessage-deflate; client_max_window_bits="', "deflate"),
        ("=", "deflate"),
    ],
)
def test_k2_extension_that_was_not_agreed(
    host: Host, value: str, offers: str | None
) -> None:
    def answer(head: Head) -> bytes:
        return response(head, f"Sec-WebSocket-Extensions: {value}")

    refused(connect(host, answer, compression=offers))


@pytest.mark.parametrize(
    ("lines", "offers"),
    [
        (("Sec-WebSocket-Protocol: chat",), None),
        (("Sec-WebSocket-Protocol: other",), ["chat"]),
        (("Sec-WebSocket-Protocol: Chat",), ["chat"]),
        (("Sec-WebSocket-Protocol: chat, superchat",), ["chat", "superchat"]),
        (
            ("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: superchat"),
            ["chat", "superchat"],
        ),
    ],
)
def test_k2_subprotocol_that_was_not_agreed(
    host: Host, lines: tuple[str, ...], offers: list[str] | None
) -> None:
    refused(connect(host, lambda head: response(head, *lines), subprotocols=offers))


@pytest.mark.parametrize("manner", ["silent", "drip", "never accepted"])
def test_k3_open_timeout(host: Host, manner: str) -> None:
    with Listening() as listening:
        client = host.connect(listening.uri, "sink", open_timeout=0.5)
        if manner == "never accepted":
            event = client.event("refused")
        else:
            with listening.tcp() as peer:
                octets = response(peer.head(), *(f"X-{n}: a" for n in range(50)))
                start = time.monotonic()
                for octet in octets:
                    if manner == "drip":
                        peer.send(bytes([octet]))
                    time.sleep(0.01)
                    if time.monotonic() - start > 1.5:
                        break
                event = client.event("refused")
                assert peer.ended() in {"eof", "reset"}
    assert "TimeoutError" in event["kinds"]
    assert 0.4 < event["seconds"] < 8


def test_k3_cancelled_while_connecting(host: Host) -> None:
    with Listening() as listening:
        client = host.connect(listening.uri, "sink")
        with listening.tcp() as peer:
            peer.head()
            client.cancel()
            assert client.event("refused")["error"] == "CancelledError"
            assert peer.ended() in {"eof", "reset"}


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"HTTP/1.1 101 " + b"a" * (4 * MIB), id="status line"),
        pytest.param(b"HTTP/1.1 101 OK\r\nX: " + b"a" * (4 * MIB), id="one value"),
        pytest.param(b"HTTP/1.1 101 OK\r\n" + b"X: a\r\n" * 700_000, id="many headers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n" + bytes(64 * MIB),
            id="body of 64 MiB",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(64 * MIB), id="endless body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"10000\r\n%s\r\n" % bytes(65536) * 1024,
            id="chunked body of 64 MiB",
        ),
    ],
)
def test_k4_response_bomb(fresh: Host, octets: bytes) -> None:
    refused(connect(fresh, lambda head: b"HTTP/1.1 404 No\r\n\r\nbody"))
    before = fresh.reset_peak()
    with at_most(fresh, before, 5 * MIB), Listening() as listening:
        client = fresh.connect(listening.uri, "sink")
        with listening.tcp() as peer:
            peer.head()
            peer.send(octets)
            event = refused(client)
    assert event.get("body") is None or event["body"] <= MIB


def test_k4_body_of_a_refusal_can_be_read(host: Host) -> None:
    line = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope"
    event = refused(connect(host, lambda head: line))
    assert (event["error"], event["status"], event["body"]) == ("InvalidStatus", 403, 4)


def redirect(location: str, status: str = "302 Found") -> bytes:
    """Build a redirection."""
    lines = [f"HTTP/1.1 {status}", f"Location: {location}", "Content-Length: 0"]
    return "\r\n".join([*lines, "", ""]).encode()


def test_k5_redirect_is_followed(host: Host) -> None:
    with Listening() as listening:
        client = host.connect(listening.uri, "sink")
        with listening.tcp() as peer:
            peer.head()
            peer.send(redirect("/next"))
            with listening.tcp() as second:
                head = second.head()
                assert head.line == "GET /next HTTP/1.1"
                second.send(response(head))
                client.event("open")
                second.close()
                second.recv()
                second.half_close()
                client.event("done")


def test_k5_redirects_in_a_circle(host: Host) -> None:
    count = 0
    with Listening(timeout_s=3) as listening:
        client = host.connect(listening.uri, "sink")
        while count < 20:
            try:
                peer = listening.tcp()
            except TimeoutError:
                break
            with peer:
                peer.head()
                peer.send(redirect(listening.uri))
                count += 1
        event = client.event("refused")
    assert count == 6  # the first request, and five that the limit allows
    assert "WebSocketException" in event["kinds"]


@pytest.mark.parametrize(
    "location",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
    ],
)
def test_k5_redirect_to_what_cannot_be(host: Host, location: str) -> None:
    event = connect(host, lambda head: redirect(location)).event("refused")
    assert "WebSocketException" in event["kinds"], event


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
def test_k5_secrets_stay_with_their_origin(host: Host, status: str) -> None:
    secrets = {"Authorization": "Bearer s", "Cookie": "a=s", "Proxy-Authorization": "s"}
    with Listening() as first, Listening() as second:
        uri = f"ws://user:secret@127.0.0.1:{first.port}/"
        client = host.connect(uri, "sink", additional_headers=secrets)
        with first.tcp() as peer:
            assert "authorization" in peer.head().headers
            peer.send(redirect(second.uri, status))
            with second.tcp() as other:
                head = other.head()
                other.send(b"HTTP/1.1 404 Not Found\r\n\r\n")
        client.event("done")
    assert not {name.lower() for name in secrets} & {*head.headers}
    assert b"secret" not in head.raw


def test_k6_certificate_is_checked(host: Host) -> None:
    server = host.serve(tls=True)
    uri = f"wss://127.0.0.1:{server.port}/"
    event = host.connect(uri, "sink").event("refused")  # nobody trusts it by default
    assert {"SSLError", "SSLCertVerificationError"} & {*event["kinds"]}
    other = host.serve(tls=True, host="127.0.0.2")
    named = f"wss://127.0.0.2:{other.port}/"
    event = host.connect(named, "sink", tls=True).event("refused")
    assert {"SSLError", "SSLCertVerificationError"} & {*event["kinds"]}
    good = host.connect(uri, "close", tls=True)
    good.event("open")
    good.event("done")
    server.close()
    other.close()


def keys_of(peer: Peer, count: int) -> list[bytes]:
    """Receive frames and return their masking-keys."""
    keys = []
    for _ in range(count):
        key = peer.recv().key
        assert key is not None
        keys.append(key)
    return keys


def test_k7_masking_keys_have_no_pattern(host: Host) -> None:
    with Listening() as listening:
        host.connect(listening.uri, "ask", ["x"] * 4000)
        with listening.opened() as peer:
            keys = keys_of(peer, 4000)
            peer.close()
            peer.recv()
            peer.half_close()
            peer.ended()
    numbers = [int.from_bytes(key, "big") for key in keys]
    assert len(set(numbers)) > 3990  # two of them may meet by chance, not many
    for bit in range(32):
        ones = sum(number >> bit & 1 for number in numbers)
        assert 1700 < ones < 2300, f"bit {bit} is set {ones} times in 4000"
    differences = {(b - a) & 0xFFFFFFFF for a, b in itertools.pairwise(numbers)}
    assert len(differences) > 3980
    octets = b"".join(keys)
    assert all(octets.count(value) < 140 for value in range(256))  # 62 on average


def test_k8_every_handshake_has_a_key_of_its_own(host: Host) -> None:
    keys = set()
    with Listening() as listening:
        for _ in range(20):
            client = host.connect(listening.uri, "sink")
            with listening.tcp() as peer:
                keys.add(peer.head().headers["sec-websocket-key"])
            client.event("refused")
    assert len(keys) == 20
    assert all(len(base64.b64decode(key, validate=True)) == 16 for key in keys)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", id="407"),
        pytest.param(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", id="502"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"a" * (2 * MIB), id="bomb"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 300_000, id="many headers"),
        pytest.param(b"\x05\x00\x00\x01", id="not HTTP"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_k9_proxy_that_does_not_help(fresh: Host, answer: bytes) -> None:
    with Listening() as proxy:

        def refused_by_proxy(answer: bytes) -> Event:
            client = fresh.connect(
                "ws://origin.invalid/",
                "sink",
                proxy=f"http://me:secret@127.0.0.1:{proxy.port}",
                open_timeout=8,
            )
            with proxy.tcp() as peer:
                head = peer.head()
                assert head.line == "CONNECT origin.invalid:80 HTTP/1.1"
                assert "proxy-authorization" in head.headers
                peer.send(answer)
                peer.half_close()
                return client.event("refused")

        refused_by_proxy(b"HTTP/1.1 403 Forbidden\r\n\r\n")  # all is loaded now
        with at_most(fresh, fresh.reset_peak(), 8 * MIB):
            event = refused_by_proxy(answer)
        assert "WebSocketException" in event["kinds"], event
        assert "TimeoutError" not in event["kinds"], event
        proxy.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            proxy.tcp()  # there is no second attempt


def test_k9_credentials_of_the_proxy_stay_with_it(host: Host) -> None:
    with Listening() as proxy:
        uri = f"http://me:secret@127.0.0.1:{proxy.port}"
        client = host.connect("ws://origin.invalid/", "sink", proxy=uri)
        with proxy.tcp() as peer:
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            head = peer.head()
            assert head.headers["host"] == "origin.invalid"
            assert "proxy-authorization" not in head.headers
            peer.send(response(head))
            client.event("open")
            peer.close()
            peer.recv()
            peer.half_close()
            client.event("done")


@pytest.mark.parametrize("manner", ["resets", "closes", "refuses"])
def test_k10_no_storm_of_reconnections(host: Host, manner: str) -> None:
    if not host.target.own:
        pytest.skip("the target waits seconds before it tries again, or not at all")
    count = 0
    with Listening(timeout_s=1) as listening:
        client = host.follow(listening.uri)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                peer = listening.tcp()
            except TimeoutError:
                continue
            count += 1
            with peer:
                head = peer.head()
                if manner == "refuses":
                    peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
                    continue
                peer.send(response(head))
                if manner == "resets":
                    peer.reset()
                else:
                    peer.close(1012)
                    peer.half_close()
                    peer.ended()
        client.cancel()
    assert 2 <= count <= 25, count


def test_messages_that_come_with_the_handshake(host: Host) -> None:
    with Listening() as listening:
        client = host.connect(listening.uri, "sink")
        behind = frame(TEXT, "one", key=None) + frame(TEXT, "two", key=None)
        with listening.opened(behind=behind) as peer:
            peer.close()
            peer.recv()
            peer.half_close()
            assert client.event("end")["messages"] == 2
