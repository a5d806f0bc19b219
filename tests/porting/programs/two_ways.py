"""Receive and send at the same time, in two tasks."""

import asyncio
import signal
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def consume(websocket, queue):
    async for message in websocket:
        await queue.put(message.upper())


async def produce(websocket, queue):
    while True:
        await websocket.send(await queue.get())


async def handler(websocket):
    queue = asyncio.Queue()
    tasks = [
        asyncio.create_task(consume(websocket, queue)),
        asyncio.create_task(produce(websocket, queue)),
    ]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()


async def client(port):
    async with connect(f"ws://127.0.0.1:{port}") as websocket:
        for word in ("to", "and", "fro"):
            await websocket.send(word)
        print([await websocket.recv() for _ in range(3)])
        await websocket.close(4000, "enough")
        try:
            await websocket.send("more")
        except ConnectionClosed as exc:
            print(type(exc).__name__, exc)
            print(exc.rcvd, exc.sent, exc.rcvd_then_sent)


async def serve_until_told():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(handler, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stop


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    asyncio.run(serve_until_told() if role == "server" else client(int(port[0])))
