"""A server of SockJS in the event loop of the test, and clients in threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.asgi.serving import Uvicorn
from tests.sockjs.wire import Response, Site
from wsfast.sockjs import SockJS

#: Seconds after which something that has to happen has not.
DEADLINE_S = 30.0


class Running:
    """
    A server, and a client of it.

    Args:
        app: The application.
        site: The client.

    """

    def __init__(self, app: SockJS, site: Site) -> None:
        self.app = app
        self.site = site

    async def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call the client, in a thread."""
        return await asyncio.wait_for(asyncio.to_thread(function, *args), DEADLINE_S)

    async def body(self, response: Response) -> str:
        """Read the body of a response."""
        text: str = await self(response.body)
        return text

    async def poll(self, path: str) -> str:
        """Poll; return the frame."""
        return await self.body(await self(self.site.post, path + "/xhr"))

    async def send(self, path: str, payload: str) -> int:
        """Send messages; return the status."""
        response = await self(self.site.post, path + "/xhr_send", payload)
        status: int = response.status
        return status

    async def open(self) -> str:
        """Open a session by polling; return its path."""
        path = self.site.session()
        assert await self.poll(path) == "o\n"
        return path


@contextlib.asynccontextmanager
async def running_by_itself(
    handler: Any, serving: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Running]:
    """Serve a handler, by our own server with these arguments of its own."""
    app = SockJS(handler, **options)
    async with app.serve("127.0.0.1", 0, **(serving or {})) as server:
        site = Site(server.sockets[0].getsockname()[1], "")
        try:
            yield Running(app, site)
        finally:
            site.close()


@contextlib.asynccontextmanager
async def running(
    handler: Any, ws: Any = None, **options: Any
) -> AsyncIterator[Running]:
    """Serve a handler, by uvicorn with this class for WebSockets; ours by default."""
    app = SockJS(handler, **options)
    uvicorn = Uvicorn(True)
    served = await uvicorn.serve(app, **({} if ws is None else {"ws": ws}))
    site = Site(served.address[1], "")
    try:
        yield Running(app, site)
    finally:
        site.close()
        await app.close()
        await uvicorn.stack.aclose()
