"""Our own server with the services of the tests: ``python -m tests.sockjs.own``."""

from __future__ import annotations

import asyncio
import logging
import sys

from tests.sockjs.apps import LIMITS, SERVICES, facts
from wsfast.sockjs import SockJS, serve


async def main() -> None:
    """Listen, say where, and serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    for prefix, service in SERVICES.items():
        object.__setattr__(service.options, "prefix", prefix)
    services = [*SERVICES.values(), SockJS(facts, "/own/a/b/echo", **LIMITS)]
    services.append(SockJS(facts, "/fastapi/echo", **LIMITS))
    async with serve(services, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"Listening at: http://127.0.0.1:{port}", file=sys.stderr, flush=True)
        await server.serve_forever()


asyncio.run(main())
