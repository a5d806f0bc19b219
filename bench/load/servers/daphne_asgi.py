"""
Echo with an ASGI application in Daphne, by itself or with autobahn accelerated.

Daphne makes its event loop itself, as it is imported: asyncio's.
"""

from __future__ import annotations

import os

import wsfast
from bench.load.servers._asgi import echo
from bench.load.servers._serving import (
    arguments,
    exit_at_end,
    listening_socket,
    say_ready,
)

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

    exit_at_end(twisted_loop)
    Server(
        echo,
        endpoints=[f"fd:fileno={os.dup(sock.fileno())}"],
        signal_handlers=False,
        ping_interval=10_000,
        websocket_timeout=-1,
        websocket_max_message_size=0,
        websocket_max_frame_size=0,
        ready_callable=lambda: say_ready(sock),
        verbosity=0,
    ).run()


if __name__ == "__main__":
    main()
