"""Keep a number that everybody sees and everybody changes."""

import asyncio
import json
import signal
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import broadcast, serve

USERS = set()
VALUE = 0


async def handler(websocket):
    global VALUE
    try:
        USERS.add(websocket)
        broadcast(USERS, json.dumps({"users": len(USERS)}))
        await websocket.send(json.dumps({"value": VALUE}))
        async for message in websocket:
            VALUE += {"plus": 1, "minus": -1}[json.loads(message)["action"]]
            broadcast(USERS, json.dumps({"value": VALUE}))
    finally:
        USERS.remove(websocket)
        broadcast(USERS, json.dumps({"users": len(USERS)}))


async def client(port):
    uri = f"ws://127.0.0.1:{port}"
    async with connect(uri) as one:
        print(await one.recv(), await one.recv())
        async with connect(uri) as two:
            print(await one.recv(), await two.recv(), await two.recv())
            for action in ("plus", "plus", "minus"):
                await two.send(json.dumps({"action": action}))
                print(await one.recv(), await two.recv())
        print(await one.recv())


async def serve_until_told():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(handler, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stop


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    asyncio.run(serve_until_told() if role == "server" else client(int(port[0])))
