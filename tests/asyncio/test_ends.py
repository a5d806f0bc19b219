"""How streams end, and that nothing of a connection is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import socket
import sys
import weakref
from pathlib import Path

import pytest

from tests.asyncio.conftest import Pair, uri
from tests.asyncio.wire import CLOSE, TEXT, Wires, turn, until
from wsfast import ConnectionClosedError, ConnectionClosedOK, Listener
from wsfast.asyncio import connect, serve

NORMAL = (1000).to_bytes(2, "big")
DESCRIPTORS = Path("/proc/self/fd")

has_proc = pytest.mark.skipif(not DESCRIPTORS.exists(), reason="there is no /proc")


class Keeps(Listener):
    def __init__(self):
        self.got = []
        self.code = None

    def on_message(self, ws, message):
        self.got.append(message)

    def on_close(self, ws, code, reason):
        self.code = code


@pytest.mark.parametrize("cut", ["between", "header", "payload", "fragments"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_the_peer_goes_without_a_word(wire: Wires, cut, how):
    keeps = Keeps()
    ws, peer = await wire(keeps)
    octets = {
        "between": b"",
        "header": peer.frame(TEXT, "x" * 200)[:3],
        "payload": peer.frame(TEXT, "x" * 200)[:100],
        "fragments": peer.frame(TEXT, "x", fin=False),
    }[cut]
    peer.send(peer.texts("whole") + octets)
    await until(lambda: keeps.got)
    getattr(peer, how)()
    await until(lambda: keeps.code is not None)
    assert keeps.got == ["whole"]
    assert keeps.code == 1006
    with pytest.raises(ConnectionClosedError):
        ws.send("too late")
    with pytest.raises(ConnectionClosedError):
        await ws.recv()


async def test_messages_before_the_end_of_the_stream(wire: Wires):
    """Messages, a close frame and the end, all of it in the system already."""
    ws, peer = await wire()
    peer.send(peer.texts("one", "two") + peer.frame(CLOSE, NORMAL))
    peer.sock.shutdown(socket.SHUT_WR)
    assert [message async for message in ws] == ["one", "two"]
    frames = await peer.rest()
    assert [frame.opcode for frame in frames] == [CLOSE]


@pytest.mark.parametrize("how", ["close", "fail"])
async def test_a_peer_that_reads_late_gets_what_was_sent(
    wire: Wires, how, monkeypatch: pytest.MonkeyPatch
):
    """The wait for its end begins when the system has taken all, not before."""
    monkeypatch.setattr("wsfast.asyncio._stream.LINGER_S", 0.01)
    ws, peer = await wire(thin=True)
    ws.send("x" * 15_000)
    getattr(ws, how)(1011)
    await asyncio.sleep(0.3)
    text, close = await peer.frames(2)
    assert text.payload == b"x" * 15_000
    assert close.payload[:2] == (1011).to_bytes(2, "big")


async def test_a_peer_that_ends_its_side_gets_what_was_sent(wire: Wires):
    class Answers(Listener):
        def on_message(self, ws, message):
            ws.send(message)

    _, peer = await wire(Answers())
    peer.send_texts("one", "two")
    peer.sock.shutdown(socket.SHUT_WR)
    answers = [f.payload for f in await peer.rest() if f.opcode == TEXT]
    assert answers == [b"one", b"two"]


async def test_writing_to_a_peer_that_is_gone(wire: Wires):
    """What it had sent before is received still, unless asyncio drops it."""
    ws, peer = await wire(thin=True)
    peer.send_texts("last words")
    peer.close()
    ws.send("x" * 100_000)  # EPIPE
    with contextlib.suppress(ConnectionClosedError):
        for _ in range(10):
            ws.send("more")
            await turn()
    if wire.reactor:
        assert await ws.recv() == "last words"
    with pytest.raises(ConnectionClosedError):
        await ws.recv()
    assert ws.close_code == 1006


async def test_a_sender_in_a_loop_ends_with_its_peer(wire: Wires):
    ws, peer = await wire(thin=True)

    async def pour():
        while True:
            await ws.send("x" * 1000)

    pouring = asyncio.ensure_future(pour())
    await peer.read()
    peer.close()
    with pytest.raises(ConnectionClosedError):
        await asyncio.wait_for(pouring, 5)


async def test_the_closing_handshake_survives_a_lost_peer(wire: Wires):
    ws, peer = await wire()
    closing = ws.close()
    peer.reset()
    await asyncio.wait_for(closing, 5)
    with pytest.raises(ConnectionClosedError):
        await ws.recv()


async def test_closing_twice_and_aborting_twice(wire: Wires):
    ws, peer = await wire()
    first = asyncio.ensure_future(ws.close())
    second = asyncio.ensure_future(ws.close(4000))
    (close,) = await peer.frames(1)
    assert close.payload == NORMAL
    peer.send(peer.frame(CLOSE, NORMAL))
    await asyncio.gather(first, second)
    ws.abort()
    ws.abort()
    await ws.close()
    await ws.wait_closed()
    assert ws.close_code == 1000


async def test_what_waits_when_a_connection_is_cut(wire: Wires):
    ws, _ = await wire(thin=True, write_limit=1000)
    receiving = asyncio.ensure_future(ws.recv())
    ws.send(b"x" * 1_000_000)
    sending = asyncio.ensure_future(ws.drain())
    closing = asyncio.ensure_future(ws.wait_closed())
    pong = await ws.ping()
    await turn(3)
    ws.abort()
    for waiting in (receiving, sending, pong):
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(waiting, 5)
    await asyncio.wait_for(closing, 5)


async def test_nothing_arrives_after_an_abort(wire: Wires):
    keeps = Keeps()
    ws, peer = await wire(keeps)
    peer.send_texts("one")
    await until(lambda: keeps.got)
    peer.send_texts("two")
    ws.abort()
    await until(lambda: keeps.code is not None)
    await turn(5)
    assert keeps.got == ["one"]


# ---- what is left behind ----


async def echo(ws):
    async for message in ws:
        await ws.send(message)


class Echo(Listener):
    def on_message(self, ws, message):
        ws.send(message)


@pytest.mark.parametrize("handler", [echo, Echo])
async def test_no_reference_is_kept(pair: Pair, handler):
    server = await pair.serve(handler)
    refs = []
    for n in range(10):
        ws = await connect(uri(server), reactor=pair.reactor)
        refs += map(weakref.ref, server.connections)
        refs.append(weakref.ref(ws))
        await ws.send("hello")
        assert await ws.recv() == "hello"
        if n % 2:
            await ws.close()
        else:
            ws.abort()
        del ws
    await until(lambda: not server.connections)
    await turn(3)
    gc.collect()
    await turn(3)
    gc.collect()
    assert len(refs) == 20
    assert [ref() for ref in refs] == [None] * 20


@pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="counts references of CPython"
)
async def test_a_listeners_connection_goes_without_the_collector(wire: Wires):
    async def live():
        ws, peer = await wire(Keeps())
        wire.forget()
        peer.send(peer.texts("one") + peer.frame(CLOSE, NORMAL))
        await peer.frames(1)
        peer.close()
        await ws.wait_closed()
        return weakref.ref(ws)

    gc.collect()
    gc.disable()
    try:
        ref = await live()
        await turn(3)
        assert ref() is None
    finally:
        gc.enable()


@has_proc
@pytest.mark.parametrize("end", ["close", "abort", "peer"])
async def test_no_descriptor_is_kept(pair: Pair, end):
    server = await pair.serve(echo)
    async with connect(uri(server), reactor=pair.reactor):
        await until(lambda: server.connections)
    await until(lambda: not server.connections)
    await asyncio.sleep(0.05)
    before = len(os.listdir(DESCRIPTORS))  # noqa: PTH208 - no objects for that
    for _ in range(10):
        ws = await connect(uri(server), reactor=pair.reactor)
        await ws.send("hello")
        assert await ws.recv() == "hello"
        if end == "close":
            await ws.close()
        elif end == "abort":
            ws.abort()
        else:
            for connection in server.connections:
                connection.abort()
            await ws.wait_closed()
    await until(lambda: not server.connections)
    await until(lambda: len(os.listdir(DESCRIPTORS)) <= before)  # noqa: PTH208


@has_proc
@pytest.mark.parametrize("uvloop", [False, True])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_closed_with_connections_open(uvloop, caplog):
    """Memory and descriptors go with the loop, though nobody said goodbye."""
    new_loop = asyncio.new_event_loop
    if uvloop:
        new_loop = pytest.importorskip("uvloop").new_event_loop

    def run():
        loop = new_loop()

        async def open_some():
            server = await serve(Echo, "127.0.0.1", 0)
            clients = [await connect(uri(server)) for _ in range(5)]
            for ws in clients:
                await ws.send("hello")
                await ws.recv()
            found = [*server.connections, *clients]
            sockets = server.sockets
            return [weakref.ref(ws) for ws in found], sockets

        refs, sockets = loop.run_until_complete(open_some())
        loop.close()
        for sock in sockets:
            sock.close()
        return refs

    run()
    gc.collect()
    before = len(os.listdir(DESCRIPTORS))  # noqa: PTH208
    refs = [ref for _ in range(3) for ref in run()]
    gc.collect()
    assert len(refs) == 30
    assert [ref() for ref in refs] == [None] * 30
    assert len(os.listdir(DESCRIPTORS)) <= before  # noqa: PTH208


@has_proc
async def test_out_of_descriptors(pair: Pair, monkeypatch):
    """Accepting is suspended, said once, and goes on by itself (C-8)."""
    import resource

    server = await pair.serve(echo)
    loop = asyncio.get_running_loop()
    seen = []
    loop.set_exception_handler(lambda _, context: seen.append(context))
    clients = [socket.socket() for _ in range(5)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE,
        (max(map(int, os.listdir(DESCRIPTORS))) + 1, hard),  # noqa: PTH208
    )
    spare = []
    try:
        with contextlib.suppress(OSError):  # fill the gaps
            while True:
                spare.append(os.dup(0))
        for client in clients:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(server.sockets[0].getsockname())
        await asyncio.sleep(0.5)
        assert len(seen) == 1
        assert seen[0]["exception"].errno == errno.EMFILE
        assert not server.connections
    finally:
        for number in spare:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for client in clients:
            client.close()
    ws = await pair.connect(server)
    await ws.send("hello")
    assert await ws.recv() == "hello"
    assert len(seen) == 1


async def test_a_factory_that_fails_costs_its_connection_only(wire: Wires):
    if not wire.reactor:
        pytest.skip("the event loop accepts")
    seen, links = [], []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))

    def factory(link):
        links.append(link)
        raise LookupError("no room")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        wire.driver.listen(listener, factory)
        try:
            clients = [
                socket.create_connection(listener.getsockname()) for _ in range(3)
            ]
            await until(lambda: len(links) == 3)
            assert [str(exc) for exc in seen] == ["no room"] * 3
            for client in clients:
                client.settimeout(5)
                assert client.recv(1) == b""
                client.close()
            assert all(link.closed for link in links)
        finally:
            wire.driver.unlisten(listener)


async def test_normal_end_of_a_client(wire: Wires):
    """A client waits for the server to end the stream (RFC 6455 §7.1.1)."""
    ws, peer = await wire(client=True)
    closing = asyncio.ensure_future(ws.close())
    (close,) = await peer.frames(1)
    peer.send(peer.frame(CLOSE, close.payload))
    done, _ = await asyncio.wait([closing], timeout=0.2)
    assert not done
    peer.close()
    await asyncio.wait_for(closing, 5)
    with pytest.raises(ConnectionClosedOK):
        await ws.recv()


async def test_normal_end_of_a_server(wire: Wires):
    """A server ends the stream itself, and lets the client read to its end."""
    ws, peer = await wire()
    peer.send(peer.frame(CLOSE, NORMAL))
    frames = await peer.rest()
    assert [frame.payload for frame in frames] == [NORMAL]
    peer.close()
    await asyncio.wait_for(ws.wait_closed(), 5)
    assert (ws.close_code, ws.close_reason) == (1000, "")
