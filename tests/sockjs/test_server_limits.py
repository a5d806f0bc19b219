"""What a server of SockJS bounds: time, sessions, queues, and who may use it."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

import wsfast
from tests.sockjs.running import DEADLINE_S, running
from tests.sockjs.test_server_http import PRELUDE, opened
from wsfast import ConcurrencyError, ConnectionClosed, SlowConsumer
from wsfast.asgi.uvicorn import WebSocketProtocol
from wsfast.eventsource import EventSource
from wsfast.hub import Hub
from wsfast.sockjs import Prepared, SockJS


async def echo(session):
    async for message in session:
        await session.send(message)


def until(condition):
    """Wait until a condition holds, which takes the server a moment."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never comes")


# ---- time ----


def test_heartbeats(site):
    fast = site("/fast")
    path = fast.session()
    assert fast.post(path + "/xhr").body() == "o\n"
    assert fast.post(path + "/xhr").body() == "h\n"
    assert opened(fast, fast.session()).read(6) == "o\nh\nh\n"


def test_session_ends_when_nobody_listens(site):
    fast = site("/fast")
    path = fast.session()
    assert fast.post(path + "/xhr").body() == "o\n"
    until(lambda: fast.post(path + "/xhr_send", '["a"]').status == 404)
    assert fast.post(path + "/xhr").body() == "o\n"


async def test_handler_is_told_that_nobody_listens(served):
    told = asyncio.Event()

    async def handler(session):
        with pytest.raises(ConnectionClosed) as caught:
            await session.recv()
        assert (caught.value.code, session.close_code) == (1006, 1006)
        assert session.ready_state == 3
        with pytest.raises(ConnectionClosed):
            session.send("too late")
        await session.wait_closed()
        told.set()

    async with served(handler, disconnect_delay=0.1) as server:
        await server.open()
        await asyncio.wait_for(told.wait(), DEADLINE_S)
        assert server.app.sessions == []


async def test_client_that_reads_nothing_is_given_up(served):
    ended = asyncio.get_running_loop().create_future()

    async def handler(session):
        try:
            while True:
                await session.send("x" * 65536)
        except ConnectionClosed as exc:
            ended.set_result(exc)

    options = {"heartbeat_delay": 0.1, "disconnect_delay": 0.1, "send_timeout": 0.3}
    async with served(
        handler, response_limit=1 << 40, overflow="wait", **options
    ) as server:
        await server(opened, server.site, server.site.session())
        exc = await asyncio.wait_for(ended, DEADLINE_S)
        assert isinstance(exc, SlowConsumer)


# ---- sessions ----


def test_sessions_are_limited(site):
    few = site("/few")
    paths = [few.session() for _ in range(3)]
    assert [few.post(path + "/xhr").status for path in paths] == [200, 200, 503]
    until(lambda: few.post(paths[2] + "/xhr").status == 200)


def test_l3_session_is_bound_to_its_transport(site):
    service = site("/echo")
    path = service.session()
    assert service.post(path + "/xhr").body() == "o\n"
    assert service.post(path + "/xhr_streaming").status == 404
    assert service.get(path + "/eventsource").status == 404
    assert site("/close").post(path + "/xhr_send", '["a"]').status == 404
    assert service.post(path + "/xhr_send", '["a"]').status == 204
    assert service.post(path + "/xhr").body() == 'a["a"]\n'


def test_l4_jsonp_is_off_by_default(site):
    service = site("/defaults")
    path = service.session()
    assert service.get(path + "/jsonp?c=x").status == 404
    assert service.post(path + "/jsonp_send", "d=%5B%5D").status == 404
    assert service.get(path + "/htmlfile?c=x").status == 200


# ---- what comes in ----


def test_body_is_limited(site):
    small = site("/small")
    path = small.session()
    assert small.post(path + "/xhr").status == 200
    response = small.post(path + "/xhr_send", f'["{"x" * 1000}"]')
    assert response.status == 413


async def test_messages_that_wait_are_limited(served):
    go_on = asyncio.Event()

    async def handler(session):
        await go_on.wait()
        async for message in session:
            await session.send(message)

    async with served(handler, max_queue=3) as server:
        path = await server.open()
        held = asyncio.ensure_future(server.send(path, '["1","2","3","4"]'))
        (session,) = server.app.sessions
        await server(until, lambda: session.is_full)
        assert await server.send(path, '["5"]') == 503
        assert not held.done()  # back-pressure: the client sends the next after it
        go_on.set()
        assert await held == 204
        assert await server.poll(path) == 'a["1","2","3","4"]\n'
        assert await server.send(path, '["6"]') == 204
        assert await server.poll(path) == 'a["6"]\n'


async def test_octets_that_wait_are_limited(served):
    async def handler(session):
        await asyncio.Event().wait()

    async with served(handler, max_size=1000) as server:
        path = await server.open()
        held = asyncio.ensure_future(server.send(path, json.dumps([""] * 20)))
        (session,) = server.app.sessions
        await server(until, lambda: session.is_full)
        assert await server.send(path, '["more"]') == 503
        session.close(4000, "enough")
        assert await held == 204


# ---- what goes out ----


async def test_send_waits_for_room(served):
    done = asyncio.Event()

    async def handler(session):
        await session.recv()
        session.send("a" * 1000)
        assert not session.send_nowait("b")
        await session.send("c")  # until the client has taken what there is
        done.set()
        await session.recv()

    async with served(handler, write_limit=500) as server:
        path = await server.open()
        assert await server.send(path, '["go"]') == 204
        (session,) = server.app.sessions
        await server(until, lambda: session.buffered_amount > 1000)
        assert not done.is_set()
        assert await server.poll(path) == f'a["{"a" * 1000}","c"]\n'
        await asyncio.wait_for(done.wait(), DEADLINE_S)
        assert session.buffered_amount == 0


@pytest.mark.parametrize("overflow", ["close", "drop", "wait"])
async def test_output_is_limited(served, overflow):
    result = asyncio.get_running_loop().create_future()

    async def handler(session):
        await session.recv()
        session.send("a" * 1000)
        try:
            sent = session.send("b")
        except SlowConsumer as exc:
            result.set_result(exc)
            return
        result.set_result(await sent if overflow == "drop" else None)
        await session.recv()

    async with served(handler, max_send_buffer=500, overflow=overflow) as server:
        path = await server.open()
        assert await server.send(path, '["go"]') == 204
        outcome = await asyncio.wait_for(result, DEADLINE_S)
        if overflow == "close":
            assert isinstance(outcome, SlowConsumer)
            assert await server.poll(path) == "o\n"  # another session
        else:
            assert outcome is (False if overflow == "drop" else None)
            more = "" if overflow == "drop" else ',"b"'
            assert await server.poll(path) == f'a["{"a" * 1000}"{more}]\n'


# ---- who may use it ----


async def test_origins(site):
    service = site("/some_origins")
    friend = {"Origin": "http://friend.example"}
    foe = {"Origin": "http://foe.example"}
    response = service.get("/info", **friend)
    assert response["access-control-allow-origin"] == "http://friend.example"
    assert "origins" not in json.loads(response.body())
    assert service.get("/info").status == 200
    own = {"Origin": f"http://127.0.0.1:{service.port}"}
    for path in ("/info", "/0/a/xhr", "/0/b/xhr_streaming", "/0/a/xhr_send"):
        method = "GET" if path == "/info" else "POST"
        for asked in (method, "OPTIONS"):
            assert service.request(asked, path, **foe).status == 403
        assert service.request(method, path, **own).status in (200, 500)
    for path in ("/websocket", "/0/c/websocket"):
        async with wsfast.connect(service.ws_url + path, origin=friend["Origin"]):
            pass
        with pytest.raises(wsfast.InvalidStatus) as caught:
            await wsfast.connect(service.ws_url + path, origin=foe["Origin"])
        assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        *[("prefix", "echo"), ("prefix", "/echo/"), ("response_limit", 0)],
        *[("heartbeat_delay", 0), ("disconnect_delay", float("inf"))],
        *[("max_queue", 0), ("max_size", 0), ("max_sessions", -1)],
        *[("overflow", "block"), ("transports", ["websockets"])],
    ],
)
def test_arguments_are_checked(argument, wrong):
    with pytest.raises(ValueError, match=wrong[0] if "port" in argument else argument):
        SockJS(echo, **{argument: wrong})


# ---- sessions as their handlers see them ----


async def test_one_task_receives(served):
    result = asyncio.get_running_loop().create_future()

    async def handler(session):
        first = asyncio.ensure_future(session.recv())
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError):
            await session.recv()
        first.cancel()  # which loses no message
        with pytest.raises(asyncio.CancelledError):
            await first
        result.set_result(await session.recv())
        with pytest.raises(ValueError, match="close code"):
            session.close(999)
        with pytest.raises(TypeError):
            session.send(b"octets")

    async with served(handler) as server:
        path = await server.open()
        assert await server.send(path, '["a"]') == 204
        assert await asyncio.wait_for(result, DEADLINE_S) == "a"
        assert await server.poll(path) == 'c[1000,"Normal closure"]\n'


@pytest.mark.parametrize("streams", [False, True])
async def test_server_ends(served, streams):
    cancelled = asyncio.Event()

    async def handler(session):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with served(handler) as server:
        if streams:
            path = server.site.session()
            response = await server(opened, server.site, path)
            await server.app.close()
            assert await server.body(response) == 'o\nc[1001,"Going away"]\n'
        else:
            path = await server.open()
            await server.app.close()
            assert await server.poll(path) == 'c[1001,"Going away"]\n'
        assert cancelled.is_set()
        fresh = await server(server.site.post, server.site.session() + "/xhr")
        assert fresh.status == 503


async def test_one_handler_for_everything(served):
    """SockJS, plain WebSocket and event streams."""

    async def handler(connection):
        await connection.send("hello")
        async for message in connection:
            await connection.send(message)

    async with served(handler) as server, wsfast.serve(handler, "127.0.0.1", 0) as own:
        path = server.site.session()
        response = await server(opened, server.site, path)
        assert await server(response.read, 13) == 'o\na["hello"]\n'
        for uri, hello in [
            (server.site.ws_url + "/websocket", "hello"),
            (f"ws://127.0.0.1:{own.sockets[0].getsockname()[1]}", "hello"),
        ]:
            async with wsfast.connect(uri) as ws:
                assert await ws.recv() == hello
                await ws.send("again")
                assert await ws.recv() == "again"
    events = []

    async def receive():
        await asyncio.sleep(0)
        return {"type": "http.disconnect" if len(events) > 2 else "http.request"}

    async def send(event):
        events.append(event.get("body", b""))

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    async with EventSource(scope, receive, send) as stream:
        await handler(stream)
    assert b"data: hello\n\n" in b"".join(events)


async def test_prepared_message_goes_to_all(served):
    sessions = []

    async def handler(session):
        sessions.append(session)
        await session.wait_closed()

    message = Prepared("a\u2028🚀")
    frame = r'a["a\u2028\ud83d\ude80"]'
    async with served(handler) as server, wsfast.serve(handler, "127.0.0.1", 0) as own:
        path = await server.open()
        response = await server(opened, server.site, server.site.session())
        async with (
            wsfast.connect(f"{server.site.ws_url}/0/x/websocket") as framed,
            wsfast.connect(f"{server.site.ws_url}/websocket") as raw,
            wsfast.connect(
                f"ws://127.0.0.1:{own.sockets[0].getsockname()[1]}"
            ) as plain,
        ):
            await server(until, lambda: len(sessions) == 5)
            for session in sessions:
                message.send_to(session)
            assert await server.poll(path) == frame + "\n"
            assert await server(response.read, 2 + len(frame)) == "o\n" + frame
            assert [await framed.recv(), await framed.recv()] == ["o", frame]
            assert await raw.recv() == await plain.recv() == "a\u2028🚀"
            for session in sessions:
                session.close()


@pytest.mark.parametrize("ws", [WebSocketProtocol, "websockets-sansio"])
async def test_topic_delivers_to_all(ws):
    hub = Hub()
    news = hub.topic("news")

    async def handler(session):
        news.subscribe(session)
        await session.send("ready")
        async for message in session:
            news.publish(message)

    async with hub, running(handler, ws=ws) as server:
        path = await server.open()
        response = await server(opened, server.site, server.site.session())
        assert await server.poll(path) == 'a["ready"]\n'
        assert await server(response.read, 13) == 'o\na["ready"]\n'
        async with (
            wsfast.connect(f"{server.site.ws_url}/0/x/websocket") as framed,
            wsfast.connect(f"{server.site.ws_url}/websocket") as raw,
        ):
            assert [await framed.recv(), await framed.recv()] == ["o", 'a["ready"]']
            assert await raw.recv() == "ready"
            assert len(news) == 4
            await framed.send(r'["a\u2028"]')
            assert await raw.recv() == "a\u2028"
            assert await framed.recv() == r'a["a\u2028"]'
            assert await server.poll(path) == 'a["a\\u2028"]\n'
            assert await server(response.read, 13) == 'a["a\\u2028"]\n'
        for session in server.app.sessions:
            session.close()
        assert await server.poll(path) == 'c[1000,"Normal closure"]\n'
        await server(until, lambda: len(news) == 0)


async def test_topic_skips_who_is_slow(served):
    hub = Hub()
    news = hub.topic("news")
    subscribed = asyncio.Event()

    async def handler(session):
        news.subscribe(session, max_buffered=500)
        subscribed.set()
        await session.wait_closed()

    async with hub, served(handler) as server:
        path = await server.open()
        await asyncio.wait_for(subscribed.wait(), DEADLINE_S)
        assert news.publish("a" * 1000) == 1
        news.publish("b")
        assert news.dropped == 1
        assert await server.poll(path) == f'a["{"a" * 1000}"]\n'
        news.publish("c")
        assert await server.poll(path) == 'a["c"]\n'


def test_streaming_prelude_of_a_refused_listener(site):
    service = site("/echo")
    path = service.session()
    first = opened(service, path)
    assert first.read(2) == "o\n"
    refused = service.post(path + "/xhr_streaming").body()
    assert refused == PRELUDE + 'c[2010,"Another connection still open"]\n'
