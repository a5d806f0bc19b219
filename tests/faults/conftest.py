"""Processes under fault, one for each way to the octets, and what holds after each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.faults.rawpeer import TEXT, opened
from tests.support.process import Host, Served
from tests.support.sanitizer import measured
from tests.support.targets import REACTOR, Target, chosen

TARGET = chosen()


def loop_of(path: str) -> str:
    """Return the event loop for a path: each path meets one, unless told otherwise."""
    usual = "uvloop" if path == REACTOR else "asyncio"
    return os.environ.get("WSFAST_TEST_LOOP", usual)


@pytest.fixture(scope="session")
def target() -> Target:
    """Return the library under test."""
    return TARGET


@pytest.fixture(scope="session", params=TARGET.paths)
def path(request: pytest.FixtureRequest) -> str:
    """Return the way to the octets: each test runs on all of them."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def shared_host(path: str) -> Iterator[Host]:
    """Run one process for the tests that do not measure it."""
    host = Host(TARGET, path, loop_of(path))
    yield host
    host.stop()


@pytest.fixture
def host(shared_host: Host) -> Iterator[Host]:
    """Return the shared process; no fault may leave a traceback in its log."""
    _, line = shared_host.mark()
    yield shared_host
    assert shared_host.process.poll() is None, "the process under test has died"
    assert not shared_host.tracebacks(line), "\n".join(shared_host.log[line:])


@pytest.fixture
def fresh(path: str) -> Iterator[Host]:
    """Return a process of the test's own, for measuring."""
    host = Host(TARGET, path, loop_of(path), **measured())
    yield host
    host.stop()
    assert not host.tracebacks(), "\n".join(host.log)


@pytest.fixture
def serve(host: Host) -> Iterator[Callable[..., Served]]:
    """Return a function that starts a server; each must still serve at the end."""
    with ExitStack() as stack:

        def start(script: str = "echo", **options: Any) -> Served:
            server = host.serve(script, **options)
            stack.callback(finish, server)
            return server

        yield start


def finish(server: Served) -> None:
    """See that a server still echoes, where its script does, and close it."""
    if server.script == "echo":
        with opened(server.port) as peer:
            peer.frame(TEXT, "still there?")
            assert peer.recv().payload == b"still there?"
            peer.close()
            peer.ended()
    server.close()


@pytest.fixture(scope="session")
def echo_server(shared_host: Host) -> Served:
    """Return an echo server with the default limits."""
    return shared_host.serve("echo")


@pytest.fixture
def echo(host: Host, echo_server: Served) -> Iterator[Served]:
    """Return the echo server; what a test did to it must not harm the next client."""
    yield echo_server
    with opened(echo_server.port) as peer:
        peer.frame(TEXT, "still there?")
        assert peer.recv().payload == b"still there?"
        peer.close()
        peer.ended()
