"""Every test here runs on asyncio and uvloop, by reactor and by transport."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.asyncio.conftest import (
    client_tls,
    pytest_asyncio_loop_factories,
    quick_collections,
    reactor,
    server_tls,
)

if TYPE_CHECKING:
    from tests.asgi.serving import Uvicorn

__all__ = [
    "client_tls",
    "pytest_asyncio_loop_factories",
    "quick_collections",
    "reactor",
    "server_tls",
]

#: Python 3.10 has none of the extra "asgi".
collect_ignore_glob = [] if importlib.util.find_spec("uvicorn") else ["test_*.py"]


@pytest.fixture
async def uv(reactor: bool) -> AsyncIterator[Uvicorn]:
    """Return a maker of servers and clients."""
    from tests.asgi.serving import Uvicorn

    made = Uvicorn(reactor)
    async with made.stack:
        yield made
    await asyncio.sleep(0)
    gc.collect()  # what is unclosed complains now, in the test that left it
