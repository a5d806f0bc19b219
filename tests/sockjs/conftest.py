"""The services of the tests, on each kind of host; all hosts start at once."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.sockjs.wire import Site

#: Python 3.10 has none of the extra "asgi".
collect_ignore_glob = []
if not importlib.util.find_spec("uvicorn"):
    collect_ignore_glob = [
        "test_serv*.py",
        "test_client_listener.py",
        "test_members.py",
    ]

UVICORN = "uvicorn tests.sockjs.apps:asgi --port 0 --ws"
#: Host -> the command that starts it.
HOSTS = {
    "uvicorn": f"{UVICORN} wsfast.asgi.uvicorn:WebSocketProtocol",
    "uvicorn-h11": f"{UVICORN} websockets-sansio --http h11",
    "hypercorn": "tests.sockjs.serve",
    "own": "tests.sockjs.own",
}


class Host:
    """
    A host with all services.

    Args:
        name: Its name in `HOSTS`.

    """

    def __init__(self, name: str) -> None:
        from tests.asgi.process import Server

        self.name = name
        self.server = Server(*HOSTS[name].split())

    def stop(self) -> None:
        """End it, whatever it has logged."""
        with contextlib.suppress(Exception):
            self.server.process.terminate()
            self.server.process.wait(20)
        self.server.stop()


@pytest.fixture(scope="session")
def hosts() -> Iterator[dict[str, Host]]:
    """Start all hosts."""
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        starting = {name: pool.submit(Host, name) for name in HOSTS}
    started = [f.result() for f in starting.values() if f.exception() is None]
    try:
        yield {name: future.result() for name, future in starting.items()}
    finally:
        with ThreadPoolExecutor(len(HOSTS)) as pool:
            list(pool.map(Host.stop, started))


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest, hosts: dict[str, Host]) -> Host:
    """Return one host after the other."""
    return hosts[request.param]


@pytest.fixture(params=["uvicorn", "own"])
def served(request: pytest.FixtureRequest) -> Any:
    """Return what serves a handler in this process: uvicorn, and our own server."""
    from tests.sockjs.running import running, running_by_itself

    return running if request.param == "uvicorn" else running_by_itself


@pytest.fixture
def site(host: Host) -> Iterator[Callable[[str], Site]]:
    """Return what makes the client of a service."""
    with contextlib.ExitStack() as stack:

        def make(prefix: str) -> Site:
            made = Site(host.server.port, prefix)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def echo(site: Callable[[str], Site]) -> Site:
    """Return the client of ``/echo``."""
    return site("/echo")


@pytest.fixture
def close(site: Callable[[str], Site]) -> Site:
    """Return the client of ``/close``."""
    return site("/close")
