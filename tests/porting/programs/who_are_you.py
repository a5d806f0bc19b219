"""Let in who has a password and speaks our subprotocol."""

import asyncio
import signal
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import basic_auth, serve
from websockets.exceptions import InvalidStatus, NegotiationError


async def handler(websocket):
    await websocket.send(f"{websocket.username} speaks {websocket.subprotocol}")
    await websocket.send(websocket.request.path)


async def client(port):
    uri = f"ws://me:secret@127.0.0.1:{port}/chat?x=1"
    async with connect(uri, subprotocols=["v2", "v1"]) as websocket:
        print(await websocket.recv(), await websocket.recv(), websocket.subprotocol)
    for other in (f"ws://127.0.0.1:{port}", f"ws://me:wrong@127.0.0.1:{port}"):
        try:
            await connect(other, subprotocols=["v1"])
        except InvalidStatus as exc:
            response = exc.response
            print(exc, bytes(response.body), response.headers["WWW-Authenticate"])
    try:
        await connect(uri)
    except InvalidStatus as exc:
        print(exc, bytes(exc.response.body))
    print(issubclass(NegotiationError, Exception))


async def serve_until_told():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(
        handler,
        "127.0.0.1",
        0,
        subprotocols=["v1"],
        process_request=basic_auth("ours", credentials=("me", "secret")),
    ) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stop


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    asyncio.run(serve_until_told() if role == "server" else client(int(port[0])))
