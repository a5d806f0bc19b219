"""The cases of the load benchmark, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["echo", "storm", "memory", "client"]


@dataclass(frozen=True)
class Case:
    """
    One load, given to every server (or, for ``client``, done by every client).

    Sizes are octets of payload; ``depth`` is messages in flight per connection.
    """

    name: str
    title: str
    kind: Kind = "echo"
    connections: int = 100
    size: int = 64
    depth: int = 1
    payload: Literal["text", "utf8", "binary"] = "text"
    #: the target that ratios refer to
    reference: str = "floor"
    #: the least that a round lasts, where too few messages would pass otherwise
    min_seconds: float = 0.0
    #: what counts: CPU time, the median round trip, or memory
    figure: Literal["cpu", "latency", "memory"] = "cpu"
    #: the load cannot keep every server busy, and CPU time holds all the same
    may_sleep: bool = False
    #: over TLS, with a certificate that nobody vouches for
    tls: bool = False


_KIB, _MIB = 1 << 10, 1 << 20

_CASES = [
    Case("echo64", "100 connections x 64 B"),
    Case("echo64x16", "100 connections x 64 B, 16 in flight", depth=16),
    Case("echo1k", "100 connections x 1 KiB", size=_KIB),
    Case("echo1kx16", "100 connections x 1 KiB, 16 in flight", size=_KIB, depth=16),
    Case("utf8-1k", "100 connections x 1 KiB, not ASCII", size=_KIB, payload="utf8"),
    Case(
        "echo16k",
        "10 connections x 16 KiB",
        connections=10,
        size=16 * _KIB,
        payload="binary",
        reference="raw-c",
    ),
    Case(
        "echo1m",
        "4 connections x 1 MiB",
        connections=4,
        size=_MIB,
        payload="binary",
        reference="raw-c",
    ),
    Case(
        "echo16m",
        "1 connection x 16 MiB",
        connections=1,
        size=16 * _MIB,
        payload="binary",
        reference="raw-c",
        min_seconds=1.5,
        may_sleep=True,
    ),
    Case("one", "1 connection x 64 B", connections=1, figure="latency", may_sleep=True),
    Case(
        "storm",
        "handshakes, 64 connections at a time",
        kind="storm",
        connections=64,
        may_sleep=True,
    ),
    Case(
        "memory", "idle connections", kind="memory", figure="memory", connections=2000
    ),
]
_CASES += [
    Case(
        f"client{name}{'-tls' if tls else ''}",
        f"client: 32 connections x {size_title}{', TLS' if tls else ''}",
        kind="client",
        connections=32,
        size=size,
        reference="client-floor",
        tls=tls,
        may_sleep=tls,  # the server encrypts as much as its clients do
    )
    for tls in (False, True)
    for name, size_title, size in [
        ("256", "256 B", 256),
        ("8k", "8 KiB", 8 * _KIB),
        ("100k", "100 KB", 100_000),
    ]
]
_CASES += [
    replace(
        _CASES[0],
        name=f"conns{count}",
        title=f"{count} connections x 64 B",
        connections=count,
        min_seconds=min_seconds,
    )
    for count, min_seconds in [(10, 0.0), (1000, 0.0), (10000, 1.5)]
]

#: every case, in the order of the report
CASES = {case.name: case for case in _CASES}
