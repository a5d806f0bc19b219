"""Check passwords, and refuse, in threads."""

import signal
import sys
import threading

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import basic_auth, serve


def handler(websocket):
    websocket.send(f"welcome {websocket.username} at {websocket.request.path}")


def client(port):
    with connect(f"ws://me:secret@127.0.0.1:{port}/door") as websocket:
        for message in websocket:
            print(message)
        print(websocket.close_code)
    try:
        with connect(f"ws://127.0.0.1:{port}"):
            print("never")
    except InvalidStatus as exc:
        print(exc, bytes(exc.response.body))


def serve_until_told():
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with serve(
        handler,
        "127.0.0.1",
        0,
        process_request=basic_auth("ours", credentials=("me", "secret")),
    ) as server:
        threading.Thread(target=server.serve_forever).start()
        print(server.socket.getsockname()[1], flush=True)
        stop.wait()


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    serve_until_told() if role == "server" else client(int(port[0]))
