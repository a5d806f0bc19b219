"""Echo, in threads."""

import signal
import sys
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve


def handler(websocket):
    for message in websocket:
        websocket.send(message)


def client(port):
    with connect(f"ws://127.0.0.1:{port}") as websocket:
        for message in ("text", b"octets", "é" * 70_000):
            websocket.send(message)
            print(websocket.recv() == message)
        try:
            websocket.recv(timeout=0.05)
        except TimeoutError:
            print("nothing")
        print(websocket.ping().wait(20))
        websocket.close(4001, "so long")
        try:
            websocket.recv()
        except ConnectionClosed as exc:
            print(type(exc).__name__, exc)


def serve_until_told():
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with serve(handler, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever).start()
        print(server.socket.getsockname()[1], flush=True)
        stop.wait()


if __name__ == "__main__":
    role, *port = sys.argv[1:]
    serve_until_told() if role == "server" else client(int(port[0]))
