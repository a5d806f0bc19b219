"""Ask for a name and greet it."""

import asyncio
import signal
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def handler(websocket):
    name = await websocket.recv()
    await websocket.send(f"Hello {name}!")


async def client(port):
    async with connect(f"ws://127.0.0.1:{port}") as websocket:
        await websocket.send("Ada")
        print(await websocket.recv())
        await websocket.wait_closed()
        print(websocket.close_code, websocket.state.name, websocket.subprotocol)


async def serve_until_told():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(handler, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stop


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    asyncio.run(serve_until_told() if role == "server" else client(int(port[0])))
