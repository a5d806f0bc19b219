"""
Echo with an ASGI application in Daphne, by itself or with autobahn accelerated.

Daphne makes its event loop itself, as it is imported: asyncio's.
"""

from __future__ import annotations

import os

import wsfast
from bench.load.servers._asgi import echo
from bench.load.servers._serving import arguments, listening_socket

parser = arguments()
parser.add_argument("--accelerate", action="store_true")
args = parser.parse_args()
if args.accelerate:
    wsfast.accelerate("autobahn")

from daphne.server import Server, twisted_loop  # noqa: E402


def main() -> None:
    if args.core >= 0:
        os.sched_setaffinity(0, {args.core})
    sock = listening_socket(args.port)

    def ready() -> None:
        print(f"port {sock.getsockname()[1]} pid {os.getpid()}", flush=True)

    def read() -> None:
        if not os.read(0, 4096):
            os._exit(0)

    twisted_loop.add_reader(0, read)
    Server(
        echo,
        endpoints=[f"fd:fileno={os.dup(sock.fileno())}"],
        signal_handlers=False,
        ping_interval=10_000,
        websocket_timeout=-1,
        ready_callable=ready,
        verbosity=0,
    ).run()


if __name__ == "__main__":
    main()
