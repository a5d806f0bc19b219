"""Answer health checks and redirects beside WebSocket connections."""

import asyncio
import http
import signal
import sys
import urllib.request

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidStatus


async def handler(websocket):
    await websocket.send(websocket.request.path)


def answer(connection, request):
    if request.path == "/health":
        return connection.respond(http.HTTPStatus.OK, "OK\n")
    if request.path == "/old":
        response = connection.respond(http.HTTPStatus.FOUND, "")
        response.headers["Location"] = "/new"
        return response
    if request.path == "/private":
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not for you\n")
    return None


async def client(port):
    def fetch():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as response:
            return response.status, response.read()

    print(await asyncio.to_thread(fetch))
    async with connect(f"ws://127.0.0.1:{port}/old") as websocket:
        print(await websocket.recv())
    try:
        await connect(f"ws://127.0.0.1:{port}/private")
    except InvalidStatus as exc:
        print(exc, exc.response.reason_phrase, bytes(exc.response.body))
    print(urllib.request.__name__)


async def serve_until_told():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(handler, "127.0.0.1", 0, process_request=answer) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await stop


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    asyncio.run(serve_until_told() if role == "server" else client(int(port[0])))
