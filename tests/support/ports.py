"""Ports for programs that cannot be given port 0, and ports that do not answer."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")  # what connect() and port 0 take
FIRST = 20_000
ATTEMPTS = 100


def free_port() -> int:
    """
    Return a TCP port of 127.0.0.1 that nobody listens on.

    It is none that the system gives away by itself, so that it is free still when the
    program that it is for has started, whatever runs at the same time.
    """
    last = 32_767
    with contextlib.suppress(OSError, ValueError):
        last = max(int(RANGE.read_text().split()[0]) - 1, FIRST + ATTEMPTS)
    for port in random.SystemRandom().sample(range(FIRST, last + 1), ATTEMPTS):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no port is free among {ATTEMPTS} of {FIRST} to {last}")


@contextlib.contextmanager
def never_accepting(address: str = "127.0.0.1") -> Iterator[int]:
    """Listen on a port whose queue is full: who connects gets no answer."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.bind((address, 0))
        sock.listen(0)
        for _ in range(4):
            other = stack.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]
