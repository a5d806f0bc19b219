"""Topics deliver to whatever a server has: one publish, all kinds of clients."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import uvicorn

from tests.hub.waiting import until
from wsfast import EventSource, EventSourceClient, WebSocket, connect
from wsfast.hub import Hub
from wsfast.sockjs import SockJS
from wsfast.sockjs import connect as connect_sockjs

TRANSPORTS = ["websocket", "xhr-streaming", "xhr-polling"]
CLASSES = {
    "wsfast": "wsfast.asgi.uvicorn:WebSocketProtocol",
    "others": "websockets-sansio",
}


def application(hub):
    """Return an application whose clients subscribe in every way there is."""
    topic = hub.topic("x")

    async def session(session):
        topic.subscribe(session)
        await session.wait_closed()

    sockjs = SockJS(session, "/sockjs")

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["path"].startswith("/sockjs"):
            await sockjs(scope, receive, send)
        elif scope["type"] == "websocket":
            async with WebSocket(scope, receive, send) as ws:
                topic.subscribe(ws)
                await ws.wait_closed()
        else:
            async with EventSource(scope, receive, send) as es:
                topic.subscribe(es)
                await es.wait_closed()

    return app


@contextlib.asynccontextmanager
async def serving(app, kind):
    """Run uvicorn in this loop; yield its port."""
    config = uvicorn.Config(
        app, port=0, ws=CLASSES[kind], log_level="error", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server._serve())
    try:
        await until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_all_kinds_of_clients(kind):
    hub = Hub()
    topic = hub.topic("x")
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        port = await enter(serving(application(hub), kind))
        at = f"127.0.0.1:{port}"
        receiving = [(await enter(connect(f"ws://{at}/"))).recv]
        receiving.append((await enter(connect(f"ws://{at}/sockjs/websocket"))).recv)
        for transport in TRANSPORTS:
            session = connect_sockjs(f"http://{at}/sockjs", transports=[transport])
            receiving.append((await enter(session)).recv)
        client = await enter(EventSourceClient(f"http://{at}/"))
        events = await enter(contextlib.aclosing(client.__aiter__()))

        async def next_event():
            return (await events.__anext__()).data

        receiving.append(next_event)
        await until(lambda: len(topic) == 6)
        for text in ("grün \u2028", "2"):
            assert topic.publish(text) == 6
            for receive in receiving:
                assert await asyncio.wait_for(receive(), 30) == text
        assert topic.dropped == 0
    await until(lambda: not hub._memberships)
    assert hub.active == 0


async def test_sockjs_has_no_binary_messages(caplog):
    hub = Hub()
    topic = hub.topic("x")
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        port = await enter(serving(application(hub), "wsfast"))
        session = connect_sockjs(
            f"http://127.0.0.1:{port}/sockjs", transports=["xhr-polling"]
        )
        await enter(session)
        await until(lambda: len(topic) == 1)
        assert topic.publish(b"\0") == 0
        assert topic.dropped == 1
        assert "SockJS has no binary messages" in caplog.text


async def test_attached_websocket_before_it_is_open():
    """What is published meanwhile waits, as what is sent does."""
    sent, accepted = [], asyncio.Event()

    async def receive():
        if not accepted.is_set():
            accepted.set()
            return {"type": "websocket.connect"}
        return await asyncio.get_running_loop().create_future()

    async def send(event):
        sent.append(event)

    hub = Hub()
    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
    ws = WebSocket(scope, receive, send)
    hub.topic("x").subscribe(ws)
    hub.topic("x").publish("early")
    await ws.open()
    assert [event.get("text") for event in sent] == [None, "early"]
    await ws.close()


@pytest.mark.parametrize("policy", ["skip", "latest"])
async def test_server_of_others_that_does_not_take_it(policy):
    """An ASGI server's ``send`` that waits makes the client a slow one."""
    sent, gate, calls = [], asyncio.Event(), iter(range(100))

    async def receive():
        if next(calls) == 0:
            return {"type": "websocket.connect"}
        return await asyncio.get_running_loop().create_future()

    async def send(event):
        await gate.wait() if event["type"] == "websocket.send" else None
        sent.append(event.get("text"))

    topic = Hub().topic("x", policy=policy)
    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
    ws = WebSocket(scope, receive, send)
    await ws.open()
    topic.subscribe(ws)
    for n in range(5):
        topic.publish(f"{n:<50000}")
        await asyncio.sleep(0)
    gate.set()
    expected = [0, 1, 4] if policy == "latest" else [0, 1]
    await until(lambda: len(sent) == len(expected) + 1)
    assert [int(text) for text in sent[1:]] == expected
    await ws.close()
