"""The cases of the load benchmark, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal["echo", "storm", "memory", "broadcast", "client"]
Payload = Literal["text", "letters", "latin", "utf8", "cjk", "emoji", "json", "binary"]


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
    payload: Payload = "text"
    #: frames that each message comes in
    fragments: int = 1
    #: one of the connections that a broadcast goes to does not read
    stalled: bool = False
    #: the target that ratios refer to
    reference: str = "floor"
    #: the least that a round lasts, where too few messages would pass otherwise
    min_seconds: float = 0.0
    #: about how long each server takes to get ready for a round
    setup_s: float = 0.0
    #: more rounds than these tell nothing more
    most_rounds: int = 100
    #: what counts: CPU time, messages per second of it, median round trip, or memory
    figure: Literal["cpu", "rate", "latency", "memory"] = "cpu"
    #: the load cannot keep every server busy, and CPU time holds all the same
    may_sleep: bool = False
    #: over TLS, with a certificate that nobody vouches for
    tls: bool = False
    #: parameters of permessage-deflate that the load offers; None for no compression
    deflate: str | None = None
    #: a protocol above WebSocket, of bench.load.dialects
    dialect: str = ""


_KIB, _MIB = 1 << 10, 1 << 20

_ECHO = Case("echo64", "100 connections x 64 B")
_ECHO_1K = Case("echo1k", "100 connections x 1 KiB", size=_KIB)
_LONG = [
    ("16k", "10 connections x 16 KiB", 10, 16 * _KIB, 0.0),
    ("1m", "4 connections x 1 MiB", 4, _MIB, 0.0),
    ("16m", "1 connection x 16 MiB", 1, 16 * _MIB, 1.5),
]


def _more(case: Case, name: str, title: str, **changes: Any) -> Case:
    return replace(case, name=name, title=f"{case.title}{title}", **changes)


_CASES = [
    _ECHO,
    _more(_ECHO, "echo64x16", ", 16 in flight", depth=16),
    replace(_ECHO, name="echo16", title="100 connections x 16 B", size=16),
    _ECHO_1K,
    _more(_ECHO_1K, "echo1kx16", ", 16 in flight", depth=16),
    _more(_ECHO_1K, "binary-1k", ", binary", payload="binary"),
    _more(_ECHO_1K, "latin-1k", ", German", payload="latin"),
    _more(_ECHO_1K, "utf8-1k", ", not ASCII", payload="utf8"),
    _more(_ECHO_1K, "cjk-1k", ", Chinese", payload="cjk"),
    _more(_ECHO_1K, "emoji-1k", ", emoji", payload="emoji"),
    _more(_ECHO_1K, "fragments-1k", ", in 4 fragments", fragments=4, reference="raw-c"),
]
_CASES += [
    Case(
        f"echo{name}",
        title,
        connections=connections,
        size=size,
        payload="binary",
        reference="raw-c",
        min_seconds=min_seconds,
        may_sleep=connections == 1,
    )
    for name, title, connections, size, min_seconds in _LONG
]
_CASES += [
    Case("one", "1 connection x 64 B", connections=1, figure="latency", may_sleep=True),
    Case(
        "storm",
        "handshakes, 64 connections at a time",
        kind="storm",
        connections=64,
        may_sleep=True,
    ),
    Case(
        "memory",
        "idle connections",
        kind="memory",
        figure="memory",
        connections=3334,
        setup_s=1.5,
        most_rounds=2,
    ),
    Case(
        "memory-deflate",
        "idle connections, permessage-deflate",
        kind="memory",
        figure="memory",
        connections=3334,
        size=_KIB,
        payload="json",
        deflate="",
        reference="wsfast",
        setup_s=3.0,
        most_rounds=2,
    ),
    Case(
        "memory-tls",
        "idle connections, TLS",
        kind="memory",
        figure="memory",
        connections=667,
        tls=True,
        setup_s=2.0,
        most_rounds=2,
    ),
    Case(
        "broadcast",
        "broadcast of 64 B to 1,000, one of whom does not read",
        kind="broadcast",
        connections=1000,
        stalled=True,
        reference="floor-broadcast",
    ),
    Case(
        "broadcast200",
        "broadcast of 64 B to 200",
        kind="broadcast",
        connections=200,
        reference="floor-broadcast",
    ),
]
_CASES += [  # compared with ours: a floor in C would be zlib
    _more(
        _ECHO_1K,
        f"deflate-1k{name}",
        f" of JSON, permessage-deflate{title}",
        payload="json",
        deflate=parameters,
        reference="wsfast",
        may_sleep=True,  # the load has to decompress as much
    )
    for name, title, parameters in [
        ("", "", ""),
        (
            "-alone",
            " without context takeover",
            "server_no_context_takeover; client_no_context_takeover",
        ),
    ]
]
_CASES += [
    _more(case, name, ", TLS", tls=True, figure="rate", reference="floor")
    for case, name in [
        (_ECHO, "tls64"),
        (_CASES[1], "tls64x16"),
        (next(case for case in _CASES if case.name == "echo16k"), "tls16k"),
    ]
]
_CASES += [
    replace(
        _ECHO,
        name=f"{dialect}{name}",
        title=f"{title}: {_ECHO.title}{more}",
        payload="letters",
        dialect=dialect,
        depth=depth,
        reference=reference,
    )
    for dialect, title, reference in [
        ("engineio", "Engine.IO", "engineio-node"),
        ("socketio", "Socket.IO", "socketio-node"),
        ("sockjs", "SockJS", "sockjs-node"),
    ]
    for name, more, depth in [("64", "", 1), ("64x16", ", 16 in flight", 16)]
]
_CASES += [
    Case(
        f"room{name}",
        f"Socket.IO: an event of 64 B to a room of {title}",
        kind="broadcast",
        connections=connections,
        depth=depth,
        payload="letters",
        dialect="socketio",
        reference="room-floor",
        setup_s=connections / 2000,
        min_seconds=min_seconds,
    )
    for name, title, connections, depth, min_seconds in [
        ("200", "200", 200, 1, 0.0),
        ("200x16", "200, 16 in flight", 200, 16, 0.0),
        ("10000", "10,000", 10_000, 1, 1.5),
    ]
]
_CASES += [
    Case(
        f"memory-{dialect}",
        f"idle connections, {title}",
        kind="memory",
        figure="memory",
        connections=3334,
        payload="letters",
        dialect=dialect,
        reference=f"{dialect}-node",
        setup_s=6.0,
        most_rounds=2,
    )
    for dialect, title in [
        ("engineio", "Engine.IO"),
        ("socketio", "Socket.IO, in one room"),
    ]
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
        _ECHO,
        name=f"conns{count}",
        title=f"{count:,} connections x 64 B" if count > 1 else "1 connection, its CPU",
        connections=count,
        min_seconds=min_seconds,
        setup_s=count / 4000,
        may_sleep=count == 1,  # its one message is on its way most of the time
    )
    for count, min_seconds in [(1, 0.0), (10, 0.0), (1000, 0.0), (10000, 1.5)]
]

#: every case, in the order of the report
CASES = {case.name: case for case in _CASES}

#: those with one message in flight on each connection, by how many there are
BY_CONNECTIONS = {
    case.connections: case.name
    for case in (_ECHO, *_CASES)
    if case.name == _ECHO.name or case.name.startswith("conns")
}
