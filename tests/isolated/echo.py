"""A server and a client in this interpreter, whichever that is; prints the kernel."""

import asyncio

from wsfast import connect, engine, serve


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as ws:
            for i in range(50):
                await ws.send("é" * i)
                assert await ws.recv() == "é" * i


asyncio.run(main())
print("echoed by", engine.KERNEL)
