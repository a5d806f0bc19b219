"""A thousand clients lose their server at once, and come back (THREATS K-10)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from tests.asyncio.conftest import HAVE_REACTOR
from wsfast import Reconnecting, serve

CLIENTS = 1000


@pytest.mark.slow
@pytest.mark.skipif(not HAVE_REACTOR, reason="takes minutes without the reactor")
@pytest.mark.usefixtures("many_descriptors")
async def test_a_thousand_clients_come_back_one_after_the_other(record_property):
    arrivals: list[float] = []

    async def handler(ws):
        arrivals.append(time.monotonic())
        await ws.wait_closed()

    async def until_all_have_arrived() -> None:
        deadline = time.monotonic() + 30
        while len(arrivals) < CLIENTS and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert len(arrivals) == CLIENTS

    async def start(port: int):
        return await serve(
            handler, "127.0.0.1", port, backlog=2 * CLIENTS, open_timeout=60
        )

    server = await start(0)
    port = server.sockets[0].getsockname()[1]
    delays: dict[Reconnecting, float] = {}  # the first of each client
    clients = [
        Reconnecting(
            f"ws://127.0.0.1:{port}/",
            proxy=None,
            open_timeout=60,
            ping_interval=None,
            on_message=lambda ws, message: None,
            on_reconnect=lambda ws, exc: delays.setdefault(ws, ws.delay),
        )
        for _ in range(CLIENTS)
    ]
    for start_at in range(0, CLIENTS, 50):
        await asyncio.gather(*(ws.open() for ws in clients[start_at : start_at + 50]))
    await until_all_have_arrived()

    for connection in list(server.connections):
        connection.abort()
    server.close()
    await server.wait_closed()
    while any(ws.state == "open" for ws in clients):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    lost_at = time.monotonic()
    arrivals.clear()
    server = await start(port)
    try:
        await asyncio.wait_for(asyncio.gather(*(ws.open() for ws in clients)), 90)
        # What the clients chose is exact; when they arrive, the machine has its say.
        first = delays.values()
        assert len(first) == CLIENTS
        assert all(0.5 <= delay <= 1.5 for delay in first)
        assert max(Counter(int(10 * delay) for delay in first).values()) < 200
        assert max(first) - min(first) > 0.8
        assert all(ws.attempts == 0 for ws in clients)
        await until_all_have_arrived()
        times = sorted(at - lost_at for at in arrivals)
        spread = times[int(0.95 * CLIENTS)] - times[int(0.05 * CLIENTS)]
        peak = max(Counter(int(10 * at) for at in times).values())
        record_property("spread_s", spread)
        record_property("peak_per_100_ms", peak)
        print(f"back within {times[-1]:.2f} s, 5 % to 95 % over {spread:.2f} s")
        print(f"{peak} at most in 100 ms, of {CLIENTS}")
    finally:
        for ws in clients:
            ws.close()
        await asyncio.gather(*(ws.wait_closed() for ws in clients))
        server.close()
        await server.wait_closed()
