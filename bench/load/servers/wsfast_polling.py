"""Echo with wsfast's callback class, polling 50 us for more before it sleeps."""

from __future__ import annotations

import socket

from bench.load.servers._serving import main
from bench.load.servers.wsfast_callback import Echo
from wsfast.asyncio import serve as serve_wsfast


async def serve(sock: socket.socket) -> object:
    return await serve_wsfast(
        Echo, sock=sock, backlog=4096, compression=None, max_size=None, busy_poll=50e-6
    )


if __name__ == "__main__":
    main(serve)
