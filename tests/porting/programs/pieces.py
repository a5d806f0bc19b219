"""Send a long text in pieces, and read it in pieces."""

import asyncio
import signal
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def pieces(count):
    for index in range(count):
        yield f"{index} " * 10


async def handler(websocket):
    async for number in websocket:
        await websocket.send(pieces(int(number)))


async def client(port):
    async with connect(f"ws://127.0.0.1:{port}") as websocket:
        await websocket.send("50")
        text = "".join([piece async for piece in websocket.recv_streaming()])
        print(len(text), text[:30])
        await websocket.send("3")
        print(await websocket.recv())
        await websocket.send(b"2")
        print(await websocket.recv(decode=False))


async def serve_until_told():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(handler, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stop


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    asyncio.run(serve_until_told() if role == "server" else client(int(port[0])))
