"""Measure the way there and back with pings."""

import asyncio
import signal
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def handler(websocket):
    pong = await websocket.ping(b"from the server")
    await pong
    await websocket.send("alive" if websocket.latency > 0 else "strange")
    await websocket.wait_closed()


async def client(port):
    async with connect(
        f"ws://127.0.0.1:{port}", ping_interval=0.05, ping_timeout=20
    ) as websocket:
        print(await websocket.recv())
        pong = await websocket.ping()
        print(0 < await pong < 20, await pong == websocket.latency)
        await asyncio.sleep(0.3)
        print(websocket.state.name, websocket.latency > 0)


async def serve_until_told():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(handler, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stop


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    asyncio.run(serve_until_told() if role == "server" else client(int(port[0])))
