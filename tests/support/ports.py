"""Ports for programs that cannot be given port 0."""

from __future__ import annotations

import contextlib
import random
import socket
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
