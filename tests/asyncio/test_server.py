"""Servers: handlers, the end, addresses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time

import pytest

from tests.asyncio.conftest import Pair, uri
from tests.asyncio.raw import RawPeer, request, settle
from tests.asyncio.test_opening import echo, status_of
from tests.support import systems
from wsfast import (
    ConnectionClosedError,
    ConnectionClosedOK,
    Listener,
)
from wsfast.asyncio import ServerConnection, connect, serve, unix_connect, unix_serve

# Handlers


async def test_return_of_the_handler_closes(pair: Pair):
    async def handler(ws):
        await ws.send("bye")

    ws = await pair.connect(await pair.serve(handler))
    assert await ws.recv() == "bye"
    with pytest.raises(ConnectionClosedOK) as caught:
        await ws.recv()
    assert caught.value.code == 1000


@pytest.mark.parametrize("how", ["coroutine", "listener", "on_open"])
async def test_failure_of_the_handler_closes_with_1011(pair: Pair, caplog, how: str):
    """C-14: and the server lives."""

    async def fail(ws):
        await ws.recv()
        raise ZeroDivisionError

    class Fail(Listener):
        def on_open(self, ws):
            if how == "on_open":
                raise ZeroDivisionError

        def on_message(self, ws, message):
            raise ZeroDivisionError

    server = await pair.serve(fail if how == "coroutine" else Fail)
    for _ in range(2):
        caplog.clear()
        ws = await pair.connect(server)
        with contextlib.suppress(ConnectionClosedError):
            await ws.send("hello")
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.code == 1011
        errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert errors[0].exc_info[0] is ZeroDivisionError


async def test_peer_that_goes_is_no_failure_of_the_handler(pair: Pair, caplog):
    done = asyncio.Event()

    async def handler(ws):
        try:
            while True:
                await ws.recv()
        finally:
            done.set()

    server = await pair.serve(handler)
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        await peer.head()
        peer.writer.transport.abort()
    await asyncio.wait_for(done.wait(), 5)
    await settle(lambda: not server._tasks)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_cancelled_handler_closes_with_1011(pair: Pair):
    async def handler(ws):
        asyncio.current_task().cancel()
        await ws.recv()

    ws = await pair.connect(await pair.serve(handler))
    with pytest.raises(ConnectionClosedError) as caught:
        await ws.recv()
    assert caught.value.code == 1011


async def test_handler_that_is_no_coroutine_function(pair: Pair, caplog):
    ws = await pair.connect(await pair.serve(lambda ws: None))
    with pytest.raises(ConnectionClosedError) as caught:
        await ws.recv()
    assert caught.value.code == 1011
    assert "connection handler failed" in caplog.text


async def test_failing_constructor_of_a_listener(pair: Pair, caplog):
    class Fail(Listener):
        def __init__(self):
            raise ZeroDivisionError

    server = await pair.serve(Fail)
    assert await status_of(pair, server) == 500
    server = await pair.serve(Fail, process_request=lambda ws, request: None)
    assert await status_of(pair, server) == 500


async def test_create_connection(pair: Pair):
    class Mine(ServerConnection):
        number = 42

    async def handler(ws):
        await ws.send(str(ws.number))

    ws = await pair.connect(await pair.serve(handler, create_connection=Mine))
    assert await ws.recv() == "42"


# The end


async def test_close_says_1001_to_all(pair: Pair):
    server = await pair.serve(echo)
    clients = [await pair.connect(server) for _ in range(20)]
    server.close()
    server.close()
    assert not server.is_serving()
    for ws in clients:
        with pytest.raises(ConnectionClosedOK) as caught:
            await ws.recv()
        assert caught.value.code == 1001
    await asyncio.wait_for(server.wait_closed(), 5)
    with pytest.raises(OSError):
        await connect(f"ws://127.0.0.1:{clients[0].remote_address[1]}/")


async def test_close_with_another_code(pair: Pair):
    server = await pair.serve(echo)
    ws = await pair.connect(server)
    server.close(code=1012, reason="restart")
    with pytest.raises(ConnectionClosedError) as caught:
        await ws.recv()
    assert (caught.value.code, caught.value.reason) == (1012, "restart")


async def test_close_lets_clients_finish(pair: Pair):
    server = await pair.serve(echo)
    ws = await pair.connect(server)
    server.close(close_connections=False)
    waiting = asyncio.ensure_future(server.wait_closed())
    await ws.send("still here")
    assert await ws.recv() == "still here"
    assert not waiting.done()
    await ws.close()
    await asyncio.wait_for(waiting, 5)


async def test_close_refuses_handshakes_with_503(pair: Pair):
    server = await pair.serve(echo)
    async with await RawPeer.to(server) as peer:
        await settle(lambda: bool(server._reading))
        server.close()
        assert (await peer.head())[0] == 503
        await peer.rest()
    await asyncio.wait_for(server.wait_closed(), 5)


async def test_close_while_a_hook_decides(pair: Pair):
    asked, go = asyncio.Event(), asyncio.Event()

    async def process(ws, request):
        asked.set()
        await go.wait()

    server = await pair.serve(echo, process_request=process)
    connecting = asyncio.ensure_future(status_of(pair, server))
    await asked.wait()
    server.close()
    go.set()
    assert await connecting == 503
    await asyncio.wait_for(server.wait_closed(), 5)


async def test_drain_timeout_cuts_what_is_left(pair: Pair):
    """C-11."""
    cancelled = []

    async def stubborn(ws):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(ws)
            raise

    server = await pair.serve(stubborn, drain_timeout=0.2)
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        await peer.head()
        await settle(lambda: bool(server.connections))
        started = time.monotonic()
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)
        assert 0.1 < time.monotonic() - started < 8
        assert len(cancelled) == 1
        octets = await peer.rest()
        assert octets[:4] == b"\x88\x02\x03\xe9"  # 1001, before it was cut


async def test_without_a_drain_timeout_handlers_have_all_the_time(pair: Pair):
    go = asyncio.Event()

    async def slow(ws):
        await go.wait()

    server = await pair.serve(slow, drain_timeout=None)
    ws = await pair.connect(server)
    server.close()
    await ws.wait_closed()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(server.wait_closed(), 0.2)
    go.set()
    await asyncio.wait_for(server.wait_closed(), 10)


async def test_abort(pair: Pair):
    server = await pair.serve(echo)
    ws = await pair.connect(server)
    server.abort()
    await asyncio.wait_for(server.wait_closed(), 5)
    with pytest.raises(ConnectionClosedError) as caught:
        await ws.recv()
    assert caught.value.code == 1006


async def test_serve_forever_ends_with_close_and_with_cancel(reactor: bool):
    server = serve(echo, "127.0.0.1", 0, reactor=reactor, start_serving=False)
    await server
    assert not server.is_serving()
    serving = asyncio.ensure_future(server.serve_forever())
    await settle(server.is_serving)
    ws = await connect(uri(server))
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await ws.wait_closed()
    assert ws.close_code == 1001


@systems.reuse_port
async def test_servers_share_a_port_by_reuse_port(reactor: bool):
    async with serve(echo, "127.0.0.1", 0, reuse_port=True, reactor=reactor) as one:
        port = one.sockets[0].getsockname()[1]
        async with serve(
            echo, "127.0.0.1", port, reuse_port=True, reactor=reactor
        ) as two:
            assert two.sockets[0].getsockname()[1] == port


@systems.other_loopbacks
async def test_sock_and_hosts(reactor: bool):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    async with serve(echo, sock=sock, reactor=reactor) as server:
        assert server.sockets == (sock,)
        async with connect(uri(server)):
            pass
    assert sock.fileno() == -1
    async with serve(echo, ["127.0.0.1", "127.0.0.2"], 0, reactor=reactor) as server:
        for sock in server.sockets:
            host, port = sock.getsockname()
            async with connect(f"ws://{host}:{port}/"):
                pass
        assert len(server.sockets) == 2


@systems.other_loopbacks
async def test_address_in_use_leaves_nothing_open(reactor: bool):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = serve(echo, ["127.0.0.2", "127.0.0.1"], port, reactor=reactor)
        with pytest.raises(OSError, match="cannot bind"):
            await server
        with socket.create_server(("127.0.0.2", port)):
            pass


def test_contradictory_addresses():
    with pytest.raises(ValueError, match="give one of"):
        serve(echo, "127.0.0.1", 0, unix_path="/tmp/x")
    with pytest.raises(ValueError, match="give one of"):
        serve(echo)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"compression": "brotli"}, ValueError),
        ({"subprotocols": "chat"}, TypeError),
        ({"max_queue": (1, 2)}, ValueError),
        ({"max_size": (100, -1)}, ValueError),
        ({"text": "octets"}, ValueError),
        ({"binary": "array"}, ValueError),
        ({"validate_utf8": False}, ValueError),
        ({"extensions": ["permessage-deflate"]}, TypeError),
    ],
)
def test_arguments_that_make_no_sense(arguments, error):
    with pytest.raises(error):
        serve(echo, "127.0.0.1", 0, **arguments)
    with pytest.raises(error):
        connect("ws://127.0.0.1/", **arguments)


@systems.unix_sockets
async def test_unix_serve_replaces_a_stale_socket(reactor: bool, tmp_path):
    path = tmp_path / "socket"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    async with unix_serve(echo, path, reactor=reactor):
        async with unix_connect(path, reactor=reactor) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
        path.unlink()
        path.write_text("of somebody else")
    assert path.read_text() == "of somebody else"
