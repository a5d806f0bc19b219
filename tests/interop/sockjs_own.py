"""The services without an ASGI server: ``python -m tests.interop.sockjs_own``."""

from __future__ import annotations

import asyncio
import sys

from tests.interop.sockjs_app import POLLING, service
from wsfast.sockjs import serve


async def main() -> None:
    """Listen, say where, and serve until SIGTERM."""
    services = [
        service(prefix="/echo"),
        service(prefix="/beating", heartbeat_delay=0.1),
        service(prefix="/polling", transports=POLLING),
    ]
    async with serve(services, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"Listening at: http://127.0.0.1:{port}", file=sys.stderr, flush=True)
        await server.serve_forever()


asyncio.run(main())
