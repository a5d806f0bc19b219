"""Hypercorn with the services of the tests: ``python -m tests.sockjs.serve``."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config

from tests.sockjs.apps import asgi


async def main() -> None:
    """Listen, say where, and serve until SIGTERM."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.graceful_timeout = 1.0
    config.errorlog = logging.getLogger("hypercorn.error")
    logging.basicConfig(level=logging.INFO)
    print(f"Listening at: http://127.0.0.1:{port}", file=sys.stderr, flush=True)
    await serve(asgi, config, shutdown_trigger=over.wait)  # type: ignore[arg-type]


asyncio.run(main())
