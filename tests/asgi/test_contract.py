"""What uvicorn and its applications may count on."""

from __future__ import annotations

import asyncio
import logging

import pytest
from uvicorn.protocols.utils import ClientDisconnected

from tests.asgi.apps import Recorder, echo, until
from tests.asgi.serving import Uvicorn
from wsfast import ConnectionClosedError, ConnectionClosedOK, InvalidStatus, connect


async def test_the_scope(uv: Uvicorn):
    app = Recorder()
    served = await uv.serve(app, root_path="/mounted")
    ws = await uv.connect(
        served, "/a%20b/c?d=e%20f", subprotocols=["one", "two"], origin="http://x"
    )
    scope = dict(app.scope)
    headers = dict(scope.pop("headers"))
    assert headers[b"host"] == served.uri("")[5:].encode()
    assert headers[b"origin"] == b"http://x"
    assert headers[b"sec-websocket-version"] == b"13"
    extensions = scope.pop("extensions")
    assert extensions["websocket.http.response"] == {}
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "server": ("127.0.0.1", served.address[1]),
        "client": ws.local_address,
        "root_path": "/mounted",
        "path": "/mounted/a b/c",
        "raw_path": b"/mounted/a%20b/c",
        "query_string": b"d=e%20f",
        "subprotocols": ["one", "two"],
        "state": {},
    }


async def test_headers_and_subprotocol_of_the_response(uv: Uvicorn):
    app = Recorder(subprotocol="two", headers=[(b"X-App", b"a"), (b"Server", b"b")])
    served = await uv.serve(app, headers=[("x-config", "c")])
    await until(lambda: served.state.default_headers)
    ws = await uv.connect(served, subprotocols=["one", "two"])
    assert ws.subprotocol == "two"
    headers = ws.response.headers
    assert headers["x-app"] == "a"
    assert headers["x-config"] == "c"
    assert headers.get_all("server") == ["uvicorn", "b"]
    assert len(headers.get_all("date")) == 1


async def test_a_header_cannot_become_two(uv: Uvicorn, caplog):
    served = await uv.serve(Recorder(headers=[(b"x", b"y\r\nset-cookie: z")]))
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri())
    assert refused.value.response.status_code == 500
    assert "not a value of the header b'x'" in caplog.text


async def test_state_is_a_copy_of_the_lifespans(uv: Uvicorn):
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["shared"] = []
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append(sorted(scope["state"]))
        scope["state"]["own"] = 1
        scope["state"]["shared"].append(1)
        await echo(scope, receive, send)

    served = await uv.serve(app, lifespan="on")
    for _ in range(2):
        await uv.connect(served)
    assert seen == [["shared"], ["shared"]]


async def test_connections_tasks_and_requests_are_shared(uv: Uvicorn):
    served = await uv.serve(echo)
    one, two = await uv.connect(served), await uv.connect(served)
    assert len(served.state.connections) == len(served.state.tasks) == 2
    assert served.state.total_requests == 2
    await one.close()
    await until(lambda: len(served.state.connections) == len(served.state.tasks) == 1)
    two.abort()
    await until(lambda: not served.state.connections and not served.state.tasks)


async def test_a_transport_that_gets_its_protocol_late(uv: Uvicorn):
    """With eager tasks, uvicorn sets it when the application has accepted already."""

    async def app(scope, receive, send):
        await receive()
        protocol = served.protocol
        transport = protocol.transport
        await send({"type": "websocket.accept"})
        transport.set_protocol(protocol)
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})

    served = await uv.serve(app)
    ws = await uv.connect(served)
    for message in ("one", "two" * 50_000):
        await ws.send(message)
        assert await asyncio.wait_for(ws.recv(), 20) == message
    await ws.close()
    assert ws.close_code == 1000
    await until(lambda: not served.state.connections)


async def test_the_request_limit_counts_handshakes(uv: Uvicorn):
    served = await uv.serve(echo, limit_max_requests=2)
    await uv.connect(served)
    ws = await uv.connect(served)
    with pytest.raises(ConnectionClosedError):
        await asyncio.wait_for(ws.recv(), 20)
    assert ws.close_code == 1012


async def test_shutdown_closes_with_1012(uv: Uvicorn):
    app = Recorder()
    served = await uv.serve(app)
    ws = await uv.connect(served)
    await served.stop()
    assert await app.finished() == {"type": "websocket.disconnect", "code": 1012}
    await ws.wait_closed()
    assert ws.close_code == 1012
    with pytest.raises(ClientDisconnected):
        await app.send({"type": "websocket.send", "text": "late"})


async def test_shutdown_before_the_answer_is_a_500(uv: Uvicorn):
    started, go = asyncio.Event(), asyncio.Event()
    errors = []

    async def app(scope, receive, send):
        await receive()
        started.set()
        await go.wait()
        try:
            await send({"type": "websocket.accept"})
        except (OSError, RuntimeError) as exc:
            errors.append(exc)

    served = await uv.serve(app)
    client = asyncio.ensure_future(connect(served.uri()).__aenter__())
    await started.wait()
    stopping = asyncio.ensure_future(served.stop())
    with pytest.raises(InvalidStatus) as refused:
        await client
    assert refused.value.response.status_code == 500
    go.set()
    await stopping
    assert len(errors) == 1


async def test_log_lines(uv: Uvicorn, caplog):
    async def app(scope, receive, send):
        await receive()
        if scope["path"] == "/no":
            await send({"type": "websocket.close"})
        elif scope["path"] == "/sorry":
            await send({"type": "websocket.http.response.start", "status": 418})
            await send({"type": "websocket.http.response.body", "body": b""})
        else:
            await send({"type": "websocket.accept"})
            await receive()

    caplog.set_level(logging.INFO, "uvicorn.error")
    served = await uv.serve(app)
    ws = await uv.connect(served, "/yes?a=b")
    for target in ("/no", "/sorry"):
        with pytest.raises(InvalidStatus):
            await connect(served.uri(target))
    lines = [r.getMessage() for r in caplog.records if "WebSocket" in r.getMessage()]
    assert lines[0] == '{}:{} - "WebSocket /yes?a=b" [accepted]'.format(
        *ws.local_address
    )
    assert [line.rpartition(" - ")[2] for line in lines[1:]] == [
        '"WebSocket /no" 403',
        '"WebSocket /sorry" 418',
    ]


async def test_a_request_that_is_none_is_refused_and_logged(uv: Uvicorn, caplog):
    caplog.set_level(logging.INFO, "uvicorn.error")
    served = await uv.serve(echo)
    reader, writer = await asyncio.open_connection(*served.address)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    assert b"Sec-WebSocket-Key" in await reader.read()
    writer.close()
    await writer.wait_closed()
    assert "WebSocket request refused with 400" in caplog.text


async def test_a_rejection_is_a_403(uv: Uvicorn):
    events = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.close", "code": 4000})
        events.append(await receive())
        events.append(await receive())
        with pytest.raises((RuntimeError, OSError)):
            await send({"type": "websocket.accept"})
        events.append("end")

    served = await uv.serve(app)
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri())
    assert refused.value.response.status_code == 403
    assert served.state.total_requests == 1
    await until(lambda: len(events) == 3)
    assert events[:2] == [{"type": "websocket.disconnect", "code": 1006}] * 2


async def test_a_client_that_leaves_before_the_answer(uv: Uvicorn):
    app_ends = asyncio.Event()
    seen = []

    async def app(scope, receive, send):
        seen.append(await receive())
        seen.append(await receive())
        try:
            await send({"type": "websocket.accept"})
        except ClientDisconnected as exc:
            seen.append(exc)
        app_ends.set()

    served = await uv.serve(app)
    _, writer = await asyncio.open_connection(*served.address)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    await until(lambda: seen)
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(app_ends.wait(), 20)
    assert seen[1] == {"type": "websocket.disconnect", "code": 1006}
    assert isinstance(seen[2], OSError)
    await until(lambda: not served.state.connections)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"type": "websocket.send", "text": "early"}, "Expected ASGI message"),
        ({"type": "websocket.http.response.body"}, "Expected ASGI message"),
    ],
)
async def test_events_out_of_order_before_the_answer(uv: Uvicorn, event, error, caplog):
    async def app(scope, receive, send):
        await send(event)

    served = await uv.serve(app)
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri())
    assert refused.value.response.status_code == 500
    assert error in caplog.text


async def test_events_out_of_order_after_the_answer(uv: Uvicorn):
    app = Recorder()
    served = await uv.serve(app)
    ws = await uv.connect(served)
    for kind in ("websocket.accept", "websocket.http.response.start", "nonsense"):
        with pytest.raises(RuntimeError, match="Expected ASGI message"):
            await app.send({"type": kind})
    for data in ({}, {"text": b"octets"}, {"bytes": "text"}, {"bytes": None}):
        with pytest.raises(TypeError):
            await app.send({"type": "websocket.send", **data})
    await app.send({"type": "websocket.send", "text": "still open"})
    assert await ws.recv() == "still open"
    await app.send({"type": "websocket.close", "code": 4001, "reason": "enough"})
    with pytest.raises((RuntimeError, OSError)):
        await app.send({"type": "websocket.send", "text": "late"})
    assert await app.finished() == {
        "type": "websocket.disconnect",
        "code": 4001,
        "reason": "enough",
    }
    await ws.wait_closed()
    assert (ws.close_code, ws.close_reason) == (4001, "enough")


async def test_a_second_close_is_an_error(uv: Uvicorn):
    app = Recorder()
    served = await uv.serve(app)
    await uv.connect(served)
    await app.send({"type": "websocket.close"})
    with pytest.raises(RuntimeError, match=r"after sending 'websocket\.close'"):
        await app.send({"type": "websocket.close"})


async def test_send_after_the_client_has_closed(uv: Uvicorn):
    app = Recorder()
    served = await uv.serve(app)
    ws = await uv.connect(served)
    await ws.close(4002, "bye")
    assert await app.finished() == {
        "type": "websocket.disconnect",
        "code": 4002,
        "reason": "bye",
    }
    with pytest.raises(ClientDisconnected):
        await app.send({"type": "websocket.send", "text": "late"})
    again = await app.receive()
    assert again["code"] == 4002


async def test_a_lost_connection_is_1006(uv: Uvicorn):
    app = Recorder()
    served = await uv.serve(app)
    ws = await uv.connect(served)
    ws.abort()
    assert await app.finished() == {"type": "websocket.disconnect", "code": 1006}


async def test_an_application_that_fails(uv: Uvicorn, caplog):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        raise ValueError("the application's own")

    served = await uv.serve(app)
    ws = await uv.connect(served)
    with pytest.raises(ConnectionClosedError):
        await ws.recv()
    assert ws.close_code == 1011
    assert "Exception in ASGI application" in caplog.text
    assert "the application's own" in caplog.text


async def test_an_application_that_fails_before_the_answer(uv: Uvicorn, caplog):
    async def app(scope, receive, send):
        raise ValueError("the application's own")

    served = await uv.serve(app)
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri())
    assert refused.value.response.status_code == 500
    assert refused.value.response.body == b"Internal Server Error"
    assert "the application's own" in caplog.text


async def test_an_application_that_returns(uv: Uvicorn):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})

    ws = await uv.connect(await uv.serve(app))
    with pytest.raises(ConnectionClosedOK):
        await ws.recv()
    assert ws.close_code == 1000


async def test_an_application_that_returns_something(uv: Uvicorn, caplog):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        return 123

    ws = await uv.connect(await uv.serve(app))
    with pytest.raises(ConnectionClosedError):
        await ws.recv()
    assert "should return None, but returned '123'" in caplog.text


async def test_an_application_that_never_answers(uv: Uvicorn, caplog):
    async def app(scope, receive, send):
        await receive()

    served = await uv.serve(app)
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri())
    assert refused.value.response.status_code == 500
    assert "without completing handshake" in caplog.text


async def test_the_head_of_a_request_is_bounded(uv: Uvicorn):
    served = await uv.serve(echo)
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri(), additional_headers={"x": "y" * 9000})
    assert refused.value.response.status_code == 431
