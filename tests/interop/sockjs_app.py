"""
Services of SockJS for clients of npm, and the pages that they run in.

``/echo`` has all transports, and obeys: "!close CODE REASON", "!many COUNT SIZE".
``/polling`` has no streaming ones. In front of ``/held`` there is a proxy that lets no
WebSocket through, and no response before its end. ``/page`` and ``/bare``, where there
is no WebSocket, load sockjs-client and the tour of ``sockjs_tour.js``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.responses import FileResponse, HTMLResponse
from starlette.routing import Mount, Route

from wsfast.sockjs import Session, SockJS
from wsfast.sockjs.options import TRANSPORTS

HERE = Path(__file__).parent
SCRIPT = HERE / "node_modules" / "sockjs-client" / "dist" / "sockjs.js"

PAGE = """<!doctype html><meta charset=utf-8><title>interop</title>
<link rel=icon href=data:,><script>%s</script>
<script src=/sockjs.js></script><script src=/tour.js></script><body></body>"""


async def obey(session: Session) -> None:
    """Send everything back, but for commands."""
    async for message in session:
        command, _, rest = message.partition(" ")
        if command == "!close":
            code, _, reason = rest.partition(" ")
            await session.close(int(code), reason)
        elif command == "!many":
            count, _, size = rest.partition(" ")
            for n in range(int(count)):
                await session.send(f"{n} ".ljust(int(size), "é"))
        else:
            await session.send(message)


def service(**options: Any) -> SockJS:
    """Return a service; its frames load the script of the tests."""
    given: dict[str, Any] = {
        "transports": TRANSPORTS,
        "response_limit": 16384,
        "cors": True,
    }
    return SockJS(obey, sockjs_url="/sockjs.js", **{**given, **options})


class Held:
    """
    A proxy in front of a service: it wants a response to end before it passes it on.

    Args:
        app: The service.

    """

    def __init__(self, app: SockJS) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        kept: list[Any] = []

        async def hold(message: Any) -> None:
            kept.append(message)
            if not message.get("more_body", message["type"][-5:] == "start"):
                for each in kept:
                    await send(each)

        await self.app(scope, receive, hold)


async def page(request: Any) -> HTMLResponse:
    """Return the page, as it was asked for."""
    script = "delete window.WebSocket" if request.url.path == "/bare" else ""
    return HTMLResponse(PAGE % script)


async def script(request: Any) -> FileResponse:
    """Return a script."""
    path = SCRIPT if request.url.path == "/sockjs.js" else HERE / "sockjs_tour.js"
    return FileResponse(path, media_type="text/javascript")


POLLING = ("xhr-polling", "jsonp-polling")
app = Starlette(
    routes=[
        *(Route(path, page) for path in ("/page", "/bare")),
        *(Route(path, script) for path in ("/sockjs.js", "/tour.js")),
        Mount("/echo", service()),
        Mount("/beating", service(heartbeat_delay=0.1)),
        Mount("/polling", service(transports=POLLING)),
        Mount("/held", Held(service())),
    ]
)
