"""What the hosts of the tests do, by path: for coroutines, and the same for threads."""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from urllib.parse import urlsplit

#: What a WebSocket of the tests agrees to.
PROTOCOLS = ["chat", "superchat"]
HEADERS = [("X-Host", "attached")]


def path_of(ws: Any) -> str:
    """Return the path that a client asked for."""
    return urlsplit(ws.url).path


def note(text: str) -> None:
    """Say on standard error what a test waits to hear."""
    print("NOTE", text, file=sys.stderr, flush=True)


def facts(ws: Any) -> str:
    """Return what a WebSocket knows of itself."""
    url = urlsplit(ws.url)
    return f"{url.scheme} {url.path}?{url.query} {ws.protocol} {ws.version}"


# ---- coroutines ----


async def echo(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)
    note(f"echo ended {ws.close_code} {ws.close_reason}")


async def events(ws: Any) -> None:
    ws.on_open = lambda ws: ws.send(f"open {facts(ws)}")
    ws.on_message = lambda ws, message: ws.send(message)
    ws.on_error = lambda ws, exc: note(f"error {type(exc).__name__}")
    ws.on_close = lambda ws, code, reason: note(f"close {code} {reason}")
    await ws


async def early(ws: Any) -> None:
    for n in range(300):
        ws.send(f"early {n}")
    assert ws.ready_state == 0
    assert ws.buffered_amount > 300
    await echo(ws)


async def fail(ws: Any) -> None:
    async with ws:
        await ws.recv()
        raise ValueError("this handler fails")


async def callback_fails(ws: Any) -> None:
    async def on_message(ws: Any, message: Any) -> None:
        raise ValueError("this callback fails")

    ws.on_message = on_message
    await ws


async def goodbye(ws: Any) -> None:
    async with ws:
        await ws.send("last words")
        await ws.close(4000, "bye")


async def ping(ws: Any) -> None:
    await ws.open()
    if not ws.ping("are you there", lambda: ws.send("pong")):
        await ws.send("no pings here")
    await echo(ws)


async def endless(ws: Any) -> None:
    await ws.open()
    note("endless")
    await asyncio.Event().wait()


HANDLERS = {
    "/echo": echo,
    "/events": events,
    "/early": early,
    "/fail": fail,
    "/callback": callback_fails,
    "/goodbye": goodbye,
    "/ping": ping,
    "/endless": endless,
}


async def handle(ws: Any, path: str) -> None:
    """Serve one client."""
    await HANDLERS[path](ws)


# ---- threads ----


def sync_echo(ws: Any) -> None:
    for message in ws:
        ws.send(message)
    note(f"echo ended {ws.close_code} {ws.close_reason}")


def sync_events(ws: Any) -> None:
    ws.on_open = lambda ws: ws.send(f"open {facts(ws)}")
    ws.on_message = lambda ws, message: ws.send(message)
    ws.on_error = lambda ws, exc: note(f"error {type(exc).__name__}")
    ws.on_close = lambda ws, code, reason: note(f"close {code} {reason}")
    ws.run()


def sync_early(ws: Any) -> None:
    for n in range(300):
        ws.send(f"early {n}")
    assert ws.ready_state == 0
    assert ws.buffered_amount > 300
    sync_echo(ws)


def sync_fail(ws: Any) -> None:
    with ws:
        ws.recv()
        raise ValueError("this handler fails")


def sync_callback_fails(ws: Any) -> None:
    def on_message(ws: Any, message: Any) -> None:
        raise ValueError("this callback fails")

    ws.on_message = on_message
    ws.run()


def sync_goodbye(ws: Any) -> None:
    with ws:
        ws.send("last words")
        ws.close(4000, "bye")


def sync_ping(ws: Any) -> None:
    ws.open()
    assert ws.ping("are you there", lambda: ws.send("pong"))
    sync_echo(ws)


SYNC_HANDLERS = {
    "/echo": sync_echo,
    "/events": sync_events,
    "/early": sync_early,
    "/fail": sync_fail,
    "/callback": sync_callback_fails,
    "/goodbye": sync_goodbye,
    "/ping": sync_ping,
}
