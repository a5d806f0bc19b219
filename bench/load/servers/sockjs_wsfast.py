"""
SockJS as docs/sockjs.md says it is fastest: our own server, no ASGI server below it.

Echo at /echo, broadcast at /broadcast.
"""

from __future__ import annotations

import socket

from bench.load.servers._serving import main
from wsfast.sockjs import Session, SockJS, serve
from wsfast.sockjs import broadcast as send_to_all


async def echo(session: Session) -> None:
    async for message in session:
        await session.send(message)


everybody: set[Session] = set()


async def broadcast(session: Session) -> None:
    everybody.add(session)
    try:
        async for message in session:
            send_to_all(everybody, message)
    finally:
        everybody.discard(session)


async def listen(sock: socket.socket) -> object:
    services = [SockJS(echo, "/echo"), SockJS(broadcast, "/broadcast")]
    return await serve(
        services, sock=sock, compression=None, max_pending_handshakes=None
    )


if __name__ == "__main__":
    main(listen)
