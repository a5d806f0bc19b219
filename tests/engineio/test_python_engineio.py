"""Against python-engineio: its clients at our server, our clients at its server."""

from __future__ import annotations

import asyncio
import contextlib

import engineio as theirs
import pytest

from tests.engineio.conftest import HOSTS, WAIT_S, WAYS, Peer, Place, recv, until
from wsfast.engineio import connect

SENT = ["hello", "é漢🚀", b"\x00\xff\x1e\x07", "x" * 100_000]
SENT += [str(n) for n in range(100)]


@pytest.mark.parametrize("host", [*HOSTS, "transport"])
@pytest.mark.parametrize("way", WAYS)
async def test_their_client(host, way):
    import aiohttp

    place = Place(host)
    async with place.stack, aiohttp.ClientSession() as http:
        await place.start(ping_interval=0.3, ping_timeout=WAIT_S)
        client = theirs.AsyncClient(http_session=http)
        got: asyncio.Queue[object] = asyncio.Queue()
        client.on("message", got.put)
        url = f"http://127.0.0.1:{place.port}"
        await client.connect(url, transports=WAYS[way].get("transports"))
        assert client.transport() == ("polling" if way == "polling" else "websocket")
        # It polls with as many packets as there are; its own server takes 16, too.
        for sent in (SENT[start : start + 16] for start in range(0, len(SENT), 16)):
            for message in sent:
                await client.send(message)
            assert [await asyncio.wait_for(got.get(), WAIT_S) for _ in sent] == sent
        assert client.sid == place.listener.socket.id
        loops = [client.read_loop_task, client.write_loop_task]
        place.listener.socket.close()
        assert await place.ended() == "forced close"
        for task in loops:  # one sleeps until the next ping would be late
            task.cancel()
        await asyncio.wait(loops, timeout=WAIT_S)


@pytest.mark.parametrize("way", WAYS)
async def test_their_server(way):
    server = theirs.AsyncServer(
        async_mode="asgi", ping_interval=1, ping_timeout=WAIT_S, monitor_clients=False
    )
    left = asyncio.get_running_loop().create_future()

    async def message(sid, data):
        await server.send(sid, data)

    async def disconnect(sid, reason):
        left.set_result(reason)

    server.on("message", message)
    server.on("disconnect", disconnect)
    before = asyncio.all_tasks()
    place = Place("reactor")
    async with place.stack:
        # It leaves a poll open for ever.
        app = theirs.ASGIApp(server)
        served = await place.uvicorn.serve(app, timeout_graceful_shutdown=1)
        url = f"http://127.0.0.1:{served.address[1]}"
        async with connect(url, Peer, **WAYS[way]) as socket:
            for sent in SENT[:50]:
                await socket.send(sent)
            if way == "upgrade":
                await until(socket.listener, "upgraded")
            await socket.send_many(SENT[50:])
            assert [await recv(socket) for _ in SENT] == SENT
            await until(socket.listener, "pinged")
        assert await asyncio.wait_for(left, WAIT_S)
    for task in asyncio.all_tasks() - before:  # its own, which sleep until a ping
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
