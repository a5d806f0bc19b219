"""Every other library against both roles, on each path and event loop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.interop.peers import PEERS, SUBJECT, Alike, Peer
from tests.support.targets import TARGETS

NUMBERS = itertools.count()
WAYS = [
    (path, loop) for path in TARGETS[SUBJECT].paths for loop in ("asyncio", "uvloop")
]


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def subject(request: pytest.FixtureRequest) -> Iterator[Alike]:
    """Return the library under test; nothing may have gone wrong in its log."""
    with ExitStack() as stack:
        peer = Alike(stack, SUBJECT, *request.param)
        yield peer
        assert not peer.host.tracebacks(), "\n".join(peer.host.log)


@pytest.fixture(scope="session")
def peers() -> Iterator[dict[str, Peer]]:
    """Return the peers that were started so far."""
    with ExitStack() as stack:
        found: dict[str, Peer] = {}
        found["stack"] = Peer(stack)
        yield found


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.needs("node") if name == "ws" else ())
        for name in PEERS
    ]
)
def peer(request: pytest.FixtureRequest, peers: dict[str, Peer]) -> Peer:
    """Return a peer, started once."""
    name = request.param
    if name not in peers:
        peers[name] = PEERS[name](peers["stack"].stack)
    return peers[name]


#: The answer to a close frame has its code, but for aiohttp's.
ANSWERS = {code: {code, 1000} for code in (3456, 4321)}

DEFLATE = pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
END = pytest.mark.parametrize("end", ["client", "server"])


def compresses(peer: Peer, deflate: bool) -> bool:
    """Return whether compression is expected."""
    return deflate and type(peer).__name__ != "Picows"


@DEFLATE
@END
def test_server(subject: Alike, peer: Peer, deflate: bool, end: str) -> None:
    path = f"/{next(NUMBERS)}"
    toured, last = peer.tour(subject.serve(deflate) + path, deflate, end)
    wanted = compresses(peer, deflate)
    assert toured["extensions"].startswith("permessage-deflate" if wanted else "")
    assert bool(toured["extensions"]) == wanted
    server_end = subject.end_at(deflate, path)
    if end == "client":
        assert server_end == (3456, "so long")
        assert last["code"] in ANSWERS[3456]
    else:
        assert (last["code"], last["reason"]) == (4321, "farewell")
        assert server_end[0] in ANSWERS[4321]


@DEFLATE
@END
def test_client(subject: Alike, peer: Peer, deflate: bool, end: str) -> None:
    path = f"/{next(NUMBERS)}"
    toured, last = subject.tour(peer.serve(deflate) + path, deflate, end)
    wanted = compresses(peer, deflate)
    assert bool(toured["extensions"]) == wanted
    server_end = peer.end_at(deflate, path)
    if end == "client":
        assert server_end[0] == 3456
        assert last["code"] in ANSWERS[3456]
    else:
        assert (last["code"], last["reason"]) == (4321, "farewell")
        assert server_end[0] == 4321
