"""A client that comes back, used from threads; its server runs in this event loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from tests.asyncio import faulty
from tests.asyncio.faulty import QUICK, Faulty
from wsfast import ConnectionClosedError, ConnectionClosedOK, ReconnectingThread

T = TypeVar("T")


def threaded(function: Callable[..., T], *args: Any) -> Any:
    """Run a function in a thread, whose end the event loop waits for."""
    return asyncio.wait_for(asyncio.to_thread(function, *args), 60)


async def test_messages_of_all_connections():
    def use(address: str) -> list[str | bytes]:
        with ReconnectingThread(address, **QUICK) as ws:
            return list(ws)

    acts = [faulty.close(1012, b"%d" % number) for number in range(4)]
    async with Faulty(*acts, faulty.close(1000, b"end")) as server:
        assert await threaded(use, server.uri) == ["0", "1", "2", "3", "end"]


async def test_send_and_receive():
    def use(address: str) -> None:
        with ReconnectingThread(address, **QUICK) as ws:
            assert ws.state == "open"
            assert ws.send("hello") is True
            assert ws.recv(timeout=30) == "hello"
            assert ws.json([1]) is True
            assert ws.recv() == "[1]"
            with pytest.raises(TimeoutError):
                ws.recv(timeout=0.05)
            with pytest.raises(TimeoutError):
                ws.recv(timeout=0)
            ws.send("late")
            assert ws.recv() == "late"
            ws.reconnect()
            ws.open(timeout=30)
        assert ws.state == "closed"
        with pytest.raises(ConnectionClosedError):
            ws.send("too late")
        with pytest.raises(ConnectionClosedError):
            ws.recv()

    async with Faulty(faulty.echo) as server:
        await threaded(use, server.uri)


async def test_callbacks_and_reuse():
    names: list[tuple[str, bool]] = []
    me: list[threading.Thread] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *args: names.append((name, threading.current_thread() in me))

    def use(address: str) -> None:
        me.append(threading.current_thread())
        ws = ReconnectingThread(
            address,
            **QUICK,
            **{f"on_{name}": note(name) for name in ("open", "reconnect", "close")},
        )
        for _ in range(3):
            ws.open()
            ws.close()
            ws.close()

    before = threading.active_count()
    async with Faulty(faulty.echo) as server:
        await threaded(use, server.uri)
    assert names == [("open", False), ("close", False)] * 3
    assert threading.active_count() <= before + 1  # the one of to_thread


async def test_queue_from_several_threads():
    def use(address: str) -> list[str]:
        ws = ReconnectingThread(address, **QUICK, while_down="queue")
        ws.open(timeout=0)

        def send(who: str) -> None:
            for number in range(50):
                assert ws.send(f"{who}{number}")

        threads = [threading.Thread(target=send, args=(who,)) for who in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ws.send("end", wait=True)
        got = []
        while "end" not in got:
            got.append(str(ws.recv(timeout=30)))
        ws.close()
        return got

    async with Faulty(faulty.refuse, faulty.refuse, faulty.echo) as server:
        got = await threaded(use, server.uri)
    assert len(got) == 151
    for who in "abc":
        sent = [f"{who}{number}" for number in range(50)]
        assert [message for message in got if message[0] == who] == sent


async def test_nobody_there():
    def use(address: str) -> None:
        with (
            pytest.raises(ConnectionRefusedError),
            ReconnectingThread(address, **QUICK, max_attempts=1),
        ):
            pass
        ws = ReconnectingThread(address, **QUICK)
        with pytest.raises(TimeoutError):
            ws.open(timeout=0.1)
        with pytest.raises(ConnectionClosedError):
            ws.send("x")
        ws.close()

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        await threaded(use, f"ws://127.0.0.1:{sock.getsockname()[1]}/")


async def test_closed_while_others_wait():
    def use(address: str) -> list[str]:
        ended = []

        def receive(ws: ReconnectingThread) -> None:
            try:
                ws.recv()
            except ConnectionClosedOK:
                ended.append("ok")

        def iterate(ws: ReconnectingThread) -> None:
            for _ in ws:
                pass
            ended.append("end")

        for target in (receive, iterate):
            with ReconnectingThread(address, **QUICK) as ws:
                thread = threading.Thread(target=target, args=(ws,))
                thread.start()
                threading.Event().wait(0.1)
            thread.join(30)
            assert not thread.is_alive()
        return ended

    async with Faulty(faulty.echo) as server:
        assert await threaded(use, server.uri) == ["ok", "end"]


async def test_callback_must_not_wait():
    failures: list[Exception] = []

    def use(address: str) -> None:
        def on_open(_: object) -> None:
            for call in (lambda: ws.send("hello"), ws.recv, ws.reconnect, ws.close):
                with pytest.raises(RuntimeError) as caught:
                    call()
                failures.append(caught.value)

        ws = ReconnectingThread(address, **QUICK, on_open=on_open)
        with ws:
            pass

    async with Faulty(faulty.echo) as server:
        await threaded(use, server.uri)
    assert len(failures) == 4
    for failure in failures:
        assert "callbacks have the Reconnecting itself" in str(failure)
