"""A peer that stops, or falls into a black hole: Engine.IO, Socket.IO, SockJS (C-4)."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.conftest import TARGET
from tests.faults.layered import INTERVAL_S, TIMEOUT_S
from tests.faults.proxy import Proxy
from tests.support.process import Child

pytestmark = pytest.mark.skipif(not TARGET.own, reason="the layers are ours")

#: How a session ends of which nothing is heard any more: for its client, and for its
#: server.
REASONS = {
    "engineio": ("ping-timeout", "ping-timeout"),
    "socketio": ("ping-timeout", "ping-timeout"),
    "sockjs": ("1006", "1006"),
}
SLACK_S = 30.0  # for a machine that is busy


class End(Child):
    """One end, and what it says."""

    def __init__(self, *arguments: str) -> None:
        self.heard = 0
        super().__init__([sys.executable, "-m", "tests.faults.layered", *arguments])

    def says(self, word: str) -> str:
        """Wait for the next line, which begins with this word; return the next word."""
        with self.changed:
            self.changed.wait_for(
                lambda: len(self.lines) > self.heard or self.over, SLACK_S
            )
            assert len(self.lines) > self.heard, (word, self.lines, self.log[-20:])
            first, _, second = self.lines[self.heard].partition(" ")
            self.heard += 1
        assert first == word, (word, self.lines)
        return second

    def send_signal(self, sign: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(sign)


@contextmanager
def talking(layer: str) -> Iterator[tuple[End, End, Proxy]]:
    """Connect a client to a server through a proxy, and echo once."""
    server = End("serve", layer)
    client = None
    try:
        port = int(server.says("port"))
        with Proxy(port) as proxy:
            client = End("connect", layer, str(proxy.port))
            server.says("open")
            if layer == "engineio":
                client.says("open")
            assert client.says("echo") == "hello"
            yield server, client, proxy
    finally:
        for end in (client, server):
            if end is not None:
                end.send_signal(signal.SIGCONT)
                end.stop()


@pytest.mark.slow
@pytest.mark.parametrize("layer", REASONS)
def test_c4_black_hole_under_a_layer(layer: str) -> None:
    """Both ends find out by themselves."""
    with talking(layer) as (server, client, proxy):
        proxy.black_hole = True
        start = time.monotonic()
        for end, reason in zip((client, server), REASONS[layer], strict=True):
            assert end.says("closed") == reason
        assert time.monotonic() - start < INTERVAL_S + TIMEOUT_S + 1 + SLACK_S


@pytest.mark.slow
@pytest.mark.parametrize("stopped", ["server", "client"])
@pytest.mark.parametrize("layer", REASONS)
def test_c4_process_that_stops_under_a_layer(layer: str, stopped: str) -> None:
    """The other end finds out; the stopped one, when it goes on, has been left."""
    with talking(layer) as (server, client, _):
        halted, other = (server, client) if stopped == "server" else (client, server)
        halted.send_signal(signal.SIGSTOP)
        assert other.says("closed") == REASONS[layer][stopped == "client"]
        halted.send_signal(signal.SIGCONT)
        assert halted.says("closed")
