"""The other libraries, as processes that serve and tour: see `tests.support.tour`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests import needs
from tests.support.process import Child, Event, Host
from tests.support.targets import TARGETS, TRANSPORT

HERE = Path(__file__).parent


class Program(Child):
    """A peer's own program, started as a server or as a client."""

    def event(self, timeout_s: float = 20, **wanted: Any) -> Event:
        """Wait for an event with the wanted fields."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while True:
                for event in map(json.loads, self.lines):
                    assert event["event"] != "failed", event
                    if wanted.items() <= event.items():
                        found: Event = event
                        return found
                left = deadline - time.monotonic()
                if left <= 0 or self.over:
                    raise AssertionError(
                        f"no event {wanted}: {self.lines[-3:]} {self.log[-10:]}"
                    )
                self.changed.wait(min(left, 0.2))

    def events(self) -> list[Event]:
        """Return all events so far."""
        with self.changed:
            return list(map(json.loads, self.lines))


def install_npm() -> str:
    """Install the packages of ``package.json``, unless they are; return Node."""
    node, npm = needs.find("node"), shutil.which("npm")
    assert node is not None
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    if not all((HERE / "node_modules" / name).is_dir() for name in wanted):
        assert npm is not None, "npm is missing"
        options = ["--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run([npm, "ci", *options], cwd=HERE, check=True, capture_output=True)
    return node


class Peer:
    """
    A library that serves and tours.

    Args:
        stack: Ends what was started.

    """

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack

    def serve(self, deflate: bool) -> str:
        """Start a server that obeys; return its address."""
        raise NotImplementedError

    def end_at(self, deflate: bool, path: str) -> tuple[int, str]:
        """Return close code and reason that the server got for a path."""
        raise NotImplementedError

    def tour(self, uri: str, deflate: bool, end: str) -> tuple[Event, Event]:
        """Tour as a client; return the events ``toured`` and ``end``."""
        raise NotImplementedError


class Programs(Peer):
    """A peer with a program of its own."""

    #: How to start it.
    command: Sequence[str]

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(stack)
        self.servers: dict[bool, tuple[Program, str]] = {}

    def start(self, role: str, **options: Any) -> Program:
        """Start the program."""
        return Program([*self.command, role, json.dumps(options)])

    def serve(self, deflate: bool) -> str:
        """Start a server, once."""
        if deflate not in self.servers:
            program = self.start("server", deflate=deflate)
            self.stack.callback(program.stop)
            port = program.event(event="listening")["port"]
            self.servers[deflate] = program, f"ws://127.0.0.1:{port}"
        return self.servers[deflate][1]

    def end_at(self, deflate: bool, path: str) -> tuple[int, str]:
        """Wait for what the server says of the end."""
        event = self.servers[deflate][0].event(event="end", path=path)
        return event["code"], event["reason"]

    def tour(self, uri: str, deflate: bool, end: str) -> tuple[Event, Event]:
        """Run the program as a client."""
        program = self.start("client", uri=uri, deflate=deflate, end=end)
        try:
            toured = program.event(event="toured")
            return toured, program.event(event="end")
        finally:
            program.stop()


class Ws(Programs):
    """``ws`` from npm."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(stack)
        self.command = (install_npm(), str(HERE / "ws_peer.js"))


class Aiohttp(Programs):
    """aiohttp."""

    command = (sys.executable, "-m", "tests.interop.aiohttp_peer")


class Picows(Programs):
    """picows, by its own API."""

    command = (sys.executable, "-m", "tests.interop.picows_peer")


class Alike(Peer):
    """
    A peer with the API of the websockets library.

    Args:
        stack: Ends what was started.
        name: Name in the registry of targets.
        path: For the product: the way to the octets.
        loop: ``asyncio`` or ``uvloop``.

    """

    def __init__(
        self, stack: ExitStack, name: str, path: str = TRANSPORT, loop: str = "asyncio"
    ) -> None:
        super().__init__(stack)
        self.host = Host(TARGETS[name], path, loop)
        stack.callback(self.host.stop)
        self.servers: dict[bool, Any] = {}

    def serve(self, deflate: bool) -> str:
        """Start a server, once."""
        if deflate not in self.servers:
            compression = "deflate" if deflate else None
            self.servers[deflate] = self.host.serve("obey", compression=compression)
        return str(self.servers[deflate].uri).rstrip("/")

    def end_at(self, deflate: bool, path: str) -> tuple[int, str]:
        """Return what the server's side of the connection has."""
        end = self.servers[deflate].end_of(path)
        return end["close_code"], end["close_reason"]

    def tour(self, uri: str, deflate: bool, end: str) -> tuple[Event, Event]:
        """Connect and tour."""
        compression = "deflate" if deflate else None
        client = self.host.connect(uri, "tour", end, compression=compression)
        last = client.event("end", 20)
        assert last["error"] != "AssertionError", last
        toured = client.event("toured", 1)
        fields = {"code": last["close_code"], "reason": last["close_reason"]}
        return toured, fields


def websockets(stack: ExitStack) -> Peer:
    """Return the websockets library."""
    return Alike(stack, "websockets")


def picows_alike(stack: ExitStack) -> Peer:
    """Return picows by its API that is like that of websockets."""
    return Alike(stack, "picows")


PEERS = {
    "ws": Ws,
    "websockets": websockets,
    "aiohttp": Aiohttp,
    "picows": Picows,
    "picows.websockets": picows_alike,
}

#: What is tested: the product, unless the environment says other.
SUBJECT = os.environ.get("WSFAST_TEST_TARGET", "wsfast")
