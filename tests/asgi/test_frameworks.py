"""Applications of the frameworks that people write, served as they are."""

# No postponed annotations here: FastAPI and Litestar read those of the handlers.

import asyncio
import json
from typing import Any

import fastapi
import litestar
import pytest
from litestar.handlers import WebsocketListener, websocket
from litestar.params import FromPath

from tests.asgi.apps import until
from tests.asgi.serving import Uvicorn
from wsfast import ConnectionClosedError, InvalidStatus, connect


def starlette_app() -> Any:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket, WebSocketDisconnect

    async def chat(ws: WebSocket) -> None:
        await ws.accept(subprotocol="chat")
        await ws.send_json({"room": ws.path_params["room"]})
        try:
            async for text in ws.iter_text():
                await ws.send_text(text.upper())
        except WebSocketDisconnect:
            raise AssertionError("iter_text() ends by itself") from None

    async def picky(ws: WebSocket) -> None:
        await ws.close(4003, "not you")

    return Starlette(
        routes=[WebSocketRoute("/chat/{room}", chat), WebSocketRoute("/picky", picky)]
    )


async def test_starlette(uv: Uvicorn):
    served = await uv.serve(starlette_app())
    ws = await uv.connect(served, "/chat/kitchen", subprotocols=["chat"])
    assert ws.subprotocol == "chat"
    assert json.loads(await ws.recv()) == {"room": "kitchen"}
    for n in range(100):
        ws.send(f"message {n}")
    for n in range(100):
        assert await asyncio.wait_for(ws.recv(), 20) == f"MESSAGE {n}"
    await ws.close()
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri("/picky"))
    assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri("/nowhere"))
    assert refused.value.response.status_code == 403
    await until(lambda: not served.state.tasks)


def fastapi_app(left: list[Any]) -> Any:
    from starlette.responses import JSONResponse

    app = fastapi.FastAPI()

    async def token(token: str = "") -> str:
        if not token:
            raise fastapi.WebSocketException(1008, "no token")
        return token

    @app.websocket("/items/{item}")
    async def items(
        ws: fastapi.WebSocket, item: int, who: str = fastapi.Depends(token)
    ) -> None:
        await ws.accept()
        try:
            while True:
                data = await ws.receive_json()
                await ws.send_json({"item": item, "who": who, "data": data})
                await ws.send_bytes(bytes(item))
        except fastapi.WebSocketDisconnect as exc:
            left.append((exc.code, exc.reason))

    @app.websocket("/denied")
    async def denied(ws: fastapi.WebSocket) -> None:
        await ws.send_denial_response(JSONResponse({"error": "no"}, status_code=401))

    @app.websocket("/broken")
    async def broken(ws: fastapi.WebSocket) -> None:
        await ws.accept()
        raise ValueError("broken on purpose")

    @app.get("/page")
    async def page() -> dict[str, str]:
        return {"hello": "http"}

    return app


async def test_fastapi(uv: Uvicorn):
    left: list[Any] = []
    served = await uv.serve(fastapi_app(left))
    ws = await uv.connect(served, "/items/7?token=me")
    await ws.send(json.dumps([1, "zwei"]))
    answer = json.loads(await ws.recv())
    assert answer == {"item": 7, "who": "me", "data": [1, "zwei"]}
    assert await ws.recv() == bytes(7)
    await ws.close(4000, "enough")
    await until(lambda: left == [(4000, "enough")])
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri("/items/7"))
    assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri("/denied"))
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body) == {"error": "no"}
    ws = await uv.connect(served, "/broken")
    with pytest.raises(ConnectionClosedError):
        await ws.recv()
    assert ws.close_code == 1011
    reader, writer = await asyncio.open_connection(*served.address)
    writer.write(b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).endswith(b'{"hello":"http"}')
    writer.close()
    await writer.wait_closed()


async def test_litestar(uv: Uvicorn):
    class Listener(WebsocketListener):
        path = "/listen"

        def on_receive(self, data: str) -> str:
            return data[::-1]

    @websocket("/raw/{name:str}")
    async def raw(socket: litestar.WebSocket, name: FromPath[str]) -> None:
        await socket.accept()
        await socket.send_json({"name": name})
        assert await socket.receive_bytes() == b"\0\1"
        await socket.close(code=4001, reason="done")

    app = litestar.Litestar([Listener, raw], openapi_config=None, logging_config=None)
    served = await uv.serve(app)
    ws = await uv.connect(served, "/listen")
    for text in ("abc", "über"):
        await ws.send(text)
        assert await ws.recv() == text[::-1]
    await ws.close()
    ws = await uv.connect(served, "/raw/you")
    assert json.loads(await ws.recv()) == {"name": "you"}
    await ws.send(b"\0\1")
    with pytest.raises(ConnectionClosedError):
        await ws.recv()
    assert (ws.close_code, ws.close_reason) == (4001, "done")


async def test_django_channels(uv: Uvicorn):
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            CHANNEL_LAYERS={
                "default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}
            },
            SECRET_KEY="tests",
        )
        django.setup()
    from channels.generic.websocket import (
        AsyncJsonWebsocketConsumer,
        AsyncWebsocketConsumer,
    )
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path

    class Room(AsyncWebsocketConsumer):
        async def connect(self) -> None:
            await self.channel_layer.group_add("room", self.channel_name)
            await self.accept()

        async def receive(self, text_data=None, bytes_data=None) -> None:
            message = {"type": "room.message", "text": text_data}
            await self.channel_layer.group_send("room", message)

        async def room_message(self, event) -> None:
            await self.send(text_data=event["text"])

        async def disconnect(self, code) -> None:
            await self.channel_layer.group_discard("room", self.channel_name)

    class Strict(AsyncJsonWebsocketConsumer):
        async def receive_json(self, content) -> None:
            if content == "bye":
                await self.close(4004)
            else:
                await self.send_json({"got": content})

    routes = URLRouter([path("room", Room.as_asgi()), path("strict", Strict.as_asgi())])
    served = await uv.serve(ProtocolTypeRouter({"websocket": routes}))
    members = [await uv.connect(served, "/room") for _ in range(3)]
    await members[0].send("to all")
    for ws in members:
        assert await asyncio.wait_for(ws.recv(), 20) == "to all"
    ws = await uv.connect(served, "/strict")
    await ws.send("[1]")
    assert json.loads(await asyncio.wait_for(ws.recv(), 20)) == {"got": [1]}
    await ws.send('"bye"')
    with pytest.raises(ConnectionClosedError):
        await asyncio.wait_for(ws.recv(), 20)
    assert ws.close_code == 4004
    for ws in members:
        await ws.close()
    await until(lambda: not served.state.tasks)


async def test_socketio(uv: Uvicorn):
    import socketio

    server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
    left: list[str] = []

    @server.event
    async def shout(sid: str, data: str) -> str:
        await server.emit("heard", {"said": data.upper(), "octets": b"\0\1"})
        return "ok"

    @server.event
    async def disconnect(sid: str, reason: str) -> None:
        left.append(reason)

    served = await uv.serve(socketio.ASGIApp(server))
    ws = await uv.connect(served, "/socket.io/?EIO=4&transport=websocket")
    opened = await asyncio.wait_for(ws.recv(), 20)
    assert opened.startswith('0{"sid":')
    await ws.send("40")
    assert (await asyncio.wait_for(ws.recv(), 20)).startswith('40{"sid":')
    await ws.send('427["shout","hello"]')
    got = [await asyncio.wait_for(ws.recv(), 20) for _ in range(3)]
    assert b"\0\1" in got
    assert '437["ok"]' in got
    (event,) = (m for m in got if isinstance(m, str) and m.startswith("451-"))
    assert '"said":"HELLO"' in event
    await ws.close()
    await until(lambda: left)
