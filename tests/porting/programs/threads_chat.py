"""Pass on what each says to all, in threads."""

import signal
import sys
import threading

from websockets.sync.client import connect
from websockets.sync.server import broadcast, serve

CONNECTED = set()


def handler(websocket):
    CONNECTED.add(websocket)
    try:
        websocket.send(f"{len(CONNECTED)} here")
        for message in websocket:
            broadcast(CONNECTED, message)
    finally:
        CONNECTED.discard(websocket)


def client(port):
    uri = f"ws://127.0.0.1:{port}"
    with connect(uri) as one:
        print(one.recv())
        with connect(uri) as two:
            print(two.recv())
            heard = []
            listener = threading.Thread(target=lambda: heard.append(one.recv()))
            listener.start()
            two.send("hello all")
            print(two.recv())
            listener.join()
            print(*heard)


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
