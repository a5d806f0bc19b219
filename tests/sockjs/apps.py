"""
The services that the protocol's tests want, as an ASGI application.

``echo``, ``disabled_websocket_echo``, ``cookie_needed_echo`` and ``close``, with all
transports, and responses that end after 4096 octets; and some of our own. They are
mounted by Starlette, one by FastAPI below that; the last has a prefix of its own.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from wsfast.sockjs import Session, SockJS
from wsfast.sockjs.options import TRANSPORTS

LIMITS: dict[str, Any] = {
    "response_limit": 4096,
    "transports": TRANSPORTS,
    "cors": True,
}


async def echo(session: Session) -> None:
    async for message in session:
        await session.send(message)


async def close(session: Session) -> None:
    await session.close(3000, "Go away!")


async def facts(session: Session) -> None:
    """Tell what the session knows of its request, for each message."""
    async for _ in session:
        known = {
            name: getattr(session, name)
            for name in ("prefix", "protocol", "url", "path", "ready_state")
        }
        known["headers"] = dict(session.headers)
        known["remote"] = session.remote_address is not None
        await session.send(json.dumps(known))


async def fails(session: Session) -> None:
    async for message in session:
        raise RuntimeError(message)


def add_cookie(exchange: Any, fields: list[tuple[str, str]]) -> None:
    fields.append(("set-cookie", f"node={exchange.method}; path=/"))


SERVICES = {
    "/echo": SockJS(echo, **LIMITS),
    "/disabled_websocket_echo": SockJS(echo, websocket=False, **LIMITS),
    "/cookie_needed_echo": SockJS(echo, jsessionid=True, **LIMITS),
    "/close": SockJS(close, **LIMITS),
    "/facts": SockJS(facts, **LIMITS),
    "/fails": SockJS(fails, **LIMITS),
    "/own_cookie": SockJS(echo, jsessionid=add_cookie, **LIMITS),
    "/defaults": SockJS(echo),
    "/some_origins": SockJS(echo, cors=["http://friend.example"]),
    "/fast": SockJS(echo, heartbeat_delay=0.2, disconnect_delay=0.2, **LIMITS),
    "/few": SockJS(echo, max_sessions=2, disconnect_delay=0.5),
    "/small": SockJS(echo, max_size=1000),
}

fastapi = FastAPI()
fastapi.mount("/echo", SockJS(facts, **LIMITS))

asgi = Starlette(
    routes=[
        *(Mount(path, app=app) for path, app in SERVICES.items()),
        Mount("/fastapi", app=fastapi),
        Mount("/own", app=SockJS(facts, "/a/b/echo", **LIMITS)),
    ],
)
