"""One set of handlers on every host, met by the websockets library's client mostly."""

from __future__ import annotations

import re
import socket
import struct
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from websockets import exceptions
from websockets.frames import Frame, Opcode

from tests.attach.conftest import HOSTS, SPEAKERS, Attached
from tests.attach.handlers import PROTOCOLS
from wsfast import ConnectionClosed, InvalidStatus

WAIT_S = 60

#: Servers that drop what comes behind a request to upgrade.
FORGETFUL = ("uvicorn", "uvicorn-websockets", "hypercorn")


def heard(host: Attached, text: str, after: int = 0) -> str:
    """Wait for what a handler notes."""
    return host.server.wait_for(re.compile(f"NOTE {text}"), after)[0]


def ended(ws: Any) -> tuple[int, str]:
    """Return close code and reason that a client got in the end."""
    with pytest.raises((ConnectionClosed, exceptions.ConnectionClosed)):
        while True:
            ws.recv(timeout=WAIT_S)
    assert ws.close_code is not None
    return ws.close_code, ws.close_reason


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_echo(host, compression):
    with host.connect("/echo?a=%20b", compression=compression) as ws:
        for message in ("text", "", "é" * 40_000, bytes(range(256)) * 300, b"", "x"):
            ws.send(message)
            assert ws.recv(timeout=WAIT_S) == message
        if host.name != "hypercorn":  # sends header names in its own manner, too
            assert ws.response.headers["X-Host"] == "attached"
        assert ws.subprotocol is None


def test_events(host):
    mark = len(host.server.log)
    with host.connect("/events?q=1", subprotocols=["other", "superchat"]) as ws:
        scheme = "ws" if host.tls is None else "wss"
        opened = ws.recv(timeout=WAIT_S)
        assert opened == f"open {scheme} /events?q=1 superchat hybi-13"
        ws.send(b"octets")
        assert ws.recv(timeout=WAIT_S) == b"octets"
        ws.close(4001, "done")
    if host.name == "hypercorn":  # it tells nobody how the client has closed
        heard(host, "close 1006 ", mark)
        return
    heard(host, "close 4001 done", mark)
    assert not any("NOTE error" in line for line in host.server.log[mark:])


def test_what_is_sent_before_it_is_open_comes_first_and_in_order(host):
    with host.connect("/early") as ws:
        ws.send("late")
        messages = [ws.recv(timeout=WAIT_S) for _ in range(301)]
    assert messages == [*(f"early {n}" for n in range(300)), "late"]


def test_the_handler_says_goodbye(host):
    with host.connect("/goodbye") as ws:
        assert ws.recv(timeout=WAIT_S) == "last words"
        assert ended(ws) == (4000, "bye")


def test_pings_are_answered_both_ways(host):
    with host.connect("/ping") as ws:
        answer = "no pings here" if host.speaks_asgi else "pong"
        assert ws.recv(timeout=WAIT_S) == answer
        assert ws.ping().wait(WAIT_S)


@pytest.mark.parametrize("path", ["/fail", "/callback"])
def test_a_failure_is_logged_once_and_ends_with_1011(host, path):
    mark = len(host.server.log)
    with host.connect(path) as ws:
        ws.send("go on")
        assert ended(ws)[0] == 1011
    text = r"ValueError: this (?:handler|callback) fails"
    host.server.wait_for(re.compile(text), mark)
    with host.connect("/echo") as ws:  # and nothing comes of it for others
        ws.send("still here")
        assert ws.recv(timeout=WAIT_S) == "still here"
    found = [line for line in host.server.log[mark:] if re.search(f"^{text}$", line)]
    assert len(found) == 1, host.server.log[mark:]


def test_a_message_over_the_limit_ends_with_1009(host):
    mark = len(host.server.log)
    with host.connect("/echo") as ws:
        ws.send(bytes(100_000))
        assert len(ws.recv(timeout=WAIT_S)) == 100_000
        ws.send(bytes(100_001))
        assert ended(ws)[0] == 1009
    heard(host, "echo ended", mark)


def request(path: str = "/events", **more: str) -> bytes:
    """Return the head of a handshake."""
    fields = {
        "Host": "localhost",
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


class Raw:
    """
    A client without a library.

    Args:
        host: What it connects to.
        octets: What it sends first.

    """

    def __init__(self, host: Attached, octets: bytes) -> None:
        self.sock = socket.create_connection(("127.0.0.1", host.server.port), WAIT_S)
        if host.tls is not None:
            self.sock = host.tls.wrap_socket(self.sock)
        self.sock.sendall(octets)
        self.received = b""

    def until(self, part: bytes) -> bytes:
        """Receive until this is among it."""
        while part not in self.received:
            data = self.sock.recv(65536)
            assert data, self.received
            self.received += data
        return self.received

    def rest(self) -> bytes:
        """Receive to the end."""
        while data := self.sock.recv(65536):
            self.received += data
        return self.received

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


def test_a_peer_that_vanishes_is_an_error_and_a_close(host):
    mark = len(host.server.log)
    with Raw(host, request(Sec_WebSocket_Protocol="chat")) as raw:
        raw.until(b"hybi-13")
        # Reset: nothing is said any more.
        raw.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    if host.name not in SPEAKERS:  # these tell of a code that nobody sent
        heard(host, "error", mark)
        heard(host, "close 1006 ", mark)
    else:
        heard(host, "close 100[56] ", mark)
    lines = host.server.log[mark:]
    assert sum("NOTE close" in line for line in lines) == 1
    assert not any("Traceback" in line for line in lines), lines


@pytest.mark.parametrize(
    "host", [name for name in HOSTS if name not in FORGETFUL], indirect=True
)
def test_frames_right_behind_the_request_are_not_lost(host):
    frame = Frame(Opcode.TEXT, b"early bird").serialize(mask=True)
    with Raw(host, request("/echo") + frame) as raw:
        assert raw.until(b"\x81\x0aearly bird").startswith(b"HTTP/1.1 101 ")


def test_what_cannot_be_accepted_is_refused(host):
    with pytest.raises((InvalidStatus, exceptions.InvalidStatus)) as caught:
        host.connect("/events", subprotocols=["other"])
    assert caught.value.response.status_code in (400, 403)
    if host.name in SPEAKERS or host.name == "uvicorn":
        return
    with Raw(host, request("/echo", Sec_WebSocket_Version="7")) as raw:
        answer = raw.until(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 426 "), answer
    assert b"sec-websocket-version: 13" in answer.lower()


def test_other_requests_are_answered_as_ever(host):
    if host.name.startswith(("streams", "sockets", "threads")):
        with Raw(host, b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n") as raw:
            assert raw.rest().startswith(b"HTTP/1.1 4")
        return
    url = host.url("/echo").replace("ws", "http", 1)
    with urllib.request.urlopen(url, timeout=WAIT_S, context=host.tls) as answer:
        assert answer.read() == b"plain"


def test_a_subprotocol_is_ours_to_choose(host):
    with host.connect("/events", subprotocols=PROTOCOLS[::-1]) as ws:
        assert ws.subprotocol == PROTOCOLS[0]


def descriptors(host: Attached) -> int:
    """Return how many files a host, or its worker, has open."""
    pid = host.server.pid
    task = Path(f"/proc/{pid}/task/{pid}/children")
    children = task.read_text().split()
    if "gunicorn" in Path(f"/proc/{pid}/cmdline").read_text() and children:
        pid = int(children[0])
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_nothing_is_left_open(host):
    def visit() -> None:
        with host.connect("/echo") as ws:
            ws.send("hello")
            assert ws.recv(timeout=WAIT_S) == "hello"
        with Raw(host, request("/echo")) as raw:
            raw.until(b"\r\n\r\n")

    visit()
    before = descriptors(host)
    for _ in range(10):
        visit()
    deadline = time.monotonic() + WAIT_S
    while descriptors(host) > before + 3:
        assert time.monotonic() < deadline, (before, descriptors(host))
        time.sleep(0.1)
