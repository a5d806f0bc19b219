"""Limit what a client may send, and say why it had to go."""

import asyncio
import signal
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError
from websockets.frames import CloseCode


async def handler(websocket):
    async for message in websocket:
        await websocket.send(str(len(message)))


async def client(port):
    async with connect(f"ws://127.0.0.1:{port}", compression=None) as websocket:
        await websocket.send("x" * 1000)
        print(await websocket.recv())
        await websocket.send("x" * 1001)
        try:
            await websocket.recv()
        except ConnectionClosedError as exc:
            print(exc.rcvd.code is CloseCode.MESSAGE_TOO_BIG or exc.rcvd.code == 1009)
        print(websocket.close_code)


async def serve_until_told():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(handler, "127.0.0.1", 0, max_size=1000) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stop


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    asyncio.run(serve_until_told() if role == "server" else client(int(port[0])))
