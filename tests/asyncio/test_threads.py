"""A connection belongs to its event loop's thread; others are told so (row C-16)."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.asyncio.wire import Wires, until
from wsfast import ConcurrencyError, Prepared, broadcast

CALLS = {
    "send": lambda ws: ws.send("no"),
    "send octets": lambda ws: ws.send(b"no"),
    "send_many": lambda ws: ws.send_many(["no", "no"]),
    "send fragments": lambda ws: ws.send(["n", "o"]),
    "ping": lambda ws: ws.ping(),
    "pong": lambda ws: ws.pong(),
    "close": lambda ws: ws.close(),
    "abort": lambda ws: ws.abort(),
    "pause_reading": lambda ws: ws.pause_reading(),
    "resume_reading": lambda ws: ws.resume_reading(),
    "prepared": lambda ws: Prepared("no").send_to(ws),
}


def in_thread(call, *args):
    """Call in a thread that is joined; return what it raises."""
    raised = []

    def run():
        try:
            call(*args)
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


@pytest.mark.parametrize("name", CALLS)
async def test_another_thread_is_refused(wire: Wires, name: str):
    ws, peer = await wire()
    error = in_thread(CALLS[name], ws)
    assert isinstance(error, ConcurrencyError)
    assert "call_soon_threadsafe" in str(error)
    await ws.send("yes")  # and has left nothing behind
    assert await peer.messages(1) == ["yes"]
    assert ws.buffered_amount == 0
    peer.send_texts("here", "too")
    assert [await ws.recv(), await ws.recv()] == ["here", "too"]


async def test_a_broadcast_from_another_thread_is_refused(wire: Wires, caplog):
    ws, peer = await wire()
    assert in_thread(broadcast, [ws], "no") is None
    assert "another thread" in caplog.text
    await ws.send("yes")
    assert await peer.messages(1) == ["yes"]


async def test_receiving_in_another_loop_is_refused(wire: Wires):
    ws, peer = await wire()

    async def receive():
        return await ws.recv()

    error = in_thread(asyncio.run, receive())
    assert isinstance(error, RuntimeError)
    peer.send_texts("hello")
    assert await ws.recv() == "hello"


async def test_many_threads_by_the_door_that_is_for_them(wire: Wires):
    ws, peer = await wire(max_send_buffer=None)
    loop = asyncio.get_running_loop()
    done = []

    def work(number):
        for n in range(50):
            loop.call_soon_threadsafe(ws.send, f"{number}.{n}")
            sent = asyncio.run_coroutine_threadsafe(send(f"{number}.{n}!"), loop)
            sent.result(10)
        done.append(number)

    async def send(message):
        await ws.send(message)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    got = await peer.messages(400)
    await until(lambda: len(done) == 4)
    for thread in threads:
        thread.join()
    for number in range(4):
        mine = [m for m in got if m.startswith(f"{number}.")]
        assert mine == [f"{number}.{n}{end}" for n in range(50) for end in ("", "!")]


def test_a_loop_that_moves_to_another_thread_takes_its_connections_along(reactor: bool):
    wire = Wires(reactor)
    loop = asyncio.new_event_loop()
    try:
        ws, peer = loop.run_until_complete(wire())

        async def talk():
            await ws.send("from here")
            peer.send_texts("hello")
            return await peer.messages(1), await ws.recv()

        result = []
        error = in_thread(lambda: result.append(loop.run_until_complete(talk())))
        assert error is None
        assert result == [(["from here"], "hello")]
        loop.run_until_complete(ws.send("and back"))
        assert loop.run_until_complete(peer.messages(1)) == ["and back"]
        loop.run_until_complete(wire.close())
    finally:
        loop.close()
