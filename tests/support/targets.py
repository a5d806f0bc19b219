"""
The libraries that the compliance, interop and fault tests can be pointed at.

The product is ``wsfast``. The others are there so that a test, or the tools it is made
of, can be tried on a peer that is known to behave: ``WSFAST_TEST_TARGET=websockets``.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any

#: How octets reach a connection: the readiness set, or an ordinary asyncio transport.
REACTOR = "reactor"
TRANSPORT = "transport"


@dataclass(frozen=True)
class Target:
    """
    One library under test.

    Attributes:
        name: Name in the registry, and the agent's name in reports.
        package: Package that holds ``asyncio.server`` and ``asyncio.client``.
        paths: The ways to the octets that it has.
        own: Whether it is this project's: with a callback class, stable reason codes.

    """

    name: str
    package: str
    paths: tuple[str, ...]
    own: bool = False

    def module(self, name: str) -> ModuleType:
        """Import a module of this library, such as ``asyncio.server``."""
        return importlib.import_module(
            f"{self.package}.{name}" if name else self.package
        )

    def serve(self) -> Any:
        """Return the library's ``serve``."""
        return self.module("asyncio.server").serve

    def connect(self) -> Any:
        """Return the library's ``connect``."""
        return self.module("asyncio.client").connect


TARGETS = {
    target.name: target
    for target in (
        Target("wsfast", "wsfast", (REACTOR, TRANSPORT), own=True),
        Target("websockets", "websockets", (TRANSPORT,)),
        Target("picows", "picows.websockets", (TRANSPORT,)),
    )
}


def chosen() -> Target:
    """Return the target of this run: the product, unless the environment says other."""
    return TARGETS[os.environ.get("WSFAST_TEST_TARGET", "wsfast")]


def environment(path: str) -> dict[str, str]:
    """Return the environment in which a child process takes the given path."""
    env = dict(os.environ)
    env["WSFAST_REACTOR"] = "1" if path == REACTOR else "0"
    env.pop("PYTHONASYNCIODEBUG", None)
    return env
