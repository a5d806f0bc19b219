"""The real servers between nodes: one process of each for a whole module."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.hub.daemons import Daemon, daemon, nats_command, redis_command
from wsfast.hub import Bus
from wsfast.hub.nats import NatsBus
from wsfast.hub.redis import RedisBus, RedisShardedBus

#: Where only the extra "unit" is installed, there is no server of ASGI.
collect_ignore = [] if importlib.util.find_spec("uvicorn") else ["test_members.py"]


class Engine(NamedTuple):
    """A server, and what makes a bus over it."""

    server: Daemon
    bus: Callable[..., Bus]


ENGINES = {
    "redis": (RedisBus, "redis"),
    "sharded": (RedisShardedBus, "redis"),
    "nats": (NatsBus, "nats"),
}
MARKED = [
    pytest.param(name, marks=pytest.mark.needs(f"{kind}-server"))
    for name, (_, kind) in ENGINES.items()
]


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], Daemon]]:
    """Return what gives a server by its name, started when it is first asked for."""
    commands = {"redis": redis_command, "nats": nats_command}
    with contextlib.ExitStack() as stack:
        started: dict[str, Daemon] = {}

        def server(name: str) -> Daemon:
            if name not in started:
                started[name] = stack.enter_context(daemon(commands[name]))
            return started[name]

        yield server


@pytest.fixture(params=MARKED)
def engine(request: pytest.FixtureRequest, servers: Callable[..., Daemon]) -> Engine:
    """Return a server that runs, and its kind of bus."""
    kind, name = ENGINES[request.param]
    server = servers(name)
    return Engine(server, lambda **kw: kind(f"{name}://127.0.0.1:{server.port}", **kw))
