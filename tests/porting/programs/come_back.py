"""Connect again whenever the server hangs up."""

import asyncio
import signal
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

VISITS = []


async def handler(websocket):
    VISITS.append(websocket)
    await websocket.send(f"visit {len(VISITS)}")
    await websocket.close(1012 if len(VISITS) < 3 else 1000, "restart")


async def client(port):
    left = 3
    async for websocket in connect(f"ws://127.0.0.1:{port}"):
        try:
            async for message in websocket:
                print(message)
            print("left normally")
        except ConnectionClosed as exc:
            print(exc)
        left -= 1
        if left == 0:
            break


async def serve_until_told():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(handler, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stop


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    asyncio.run(serve_until_told() if role == "server" else client(int(port[0])))
