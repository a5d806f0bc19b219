"""An open connection, by the reactor and by transports: everything it can do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from tests.leaks.measure import Operations
from tests.leaks.places import DEFLATED, PIECES, TALKS, TEXT, Talk, turn
from wsfast import ConcurrencyError, Prepared, broadcast

operations = Operations("open")

LARGE = bytes(100_000)
ATTRIBUTES = """
buffered_amount close_code close_reason extensions id latency local_address logger
remote_address request response state subprotocol transport
"""


@operations.within(**TALKS)
async def send_and_recv(talk: Talk) -> None:
    for message in (TEXT, b"octets", "ascii"):
        await talk.ws.send(message)
        assert await talk.ws.recv() == message


@operations.within(**TALKS)
async def send_and_recv_large(talk: Talk) -> None:
    await talk.ws.send(LARGE)
    assert len(await talk.ws.recv()) == len(LARGE)


@operations.within(**DEFLATED)
async def compressed(talk: Talk) -> None:
    await talk.ws.send(TEXT)
    assert await talk.ws.recv() == TEXT
    await talk.ws.send(TEXT, compress=False)
    assert await talk.ws.recv(decode=False) == TEXT.encode()


@operations.within(**PIECES)
async def fragments(talk: Talk) -> None:
    await talk.ws.send([TEXT[:50], TEXT[50:]])
    assert "".join([piece async for piece in talk.ws.recv_streaming()]) == TEXT
    await talk.ws.send(TEXT[:50], fin=False)
    await talk.ws.send(TEXT[50:])
    assert await talk.ws.recv() == TEXT


@operations.within(**TALKS)
async def fragments_of_a_generator(talk: Talk) -> None:
    async def pieces() -> Any:
        for piece in ("one", "two"):
            await asyncio.sleep(0)
            yield piece

    await talk.ws.send(pieces())
    assert await talk.ws.recv() == "onetwo"


@operations.within(**TALKS)
async def ping(talk: Talk) -> None:
    assert await (await talk.ws.ping()) >= 0
    talk.ws.pong(b"unasked")


@operations.within(**TALKS)
async def many(talk: Talk) -> None:
    await talk.ws.send_many(["one", "two", "three"])
    got: list[Any] = []
    while len(got) < 3:
        got += await talk.ws.recv_many()


@operations.within(**TALKS)
async def broadcasts(talk: Talk) -> None:
    broadcast(talk.server.connections, TEXT)
    broadcast(talk.server.connections, Prepared(b"octets"), max_buffered=1000)
    assert await talk.ws.recv() == TEXT
    assert await talk.ws.recv() == b"octets"


@operations.within(**DEFLATED)
async def broadcasts_compressed(talk: Talk) -> None:
    broadcast(talk.server.connections, TEXT)
    assert await talk.ws.recv() == TEXT


@operations.within(**TALKS)
async def cancelled_recv(talk: Talk) -> None:
    receiving = asyncio.ensure_future(talk.ws.recv())
    await turn()
    receiving.cancel()
    with suppress(asyncio.CancelledError):
        await receiving
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(talk.ws.recv(), 0.0001)
    await talk.ws.send("still there")
    assert await talk.ws.recv() == "still there"


@operations.within(**TALKS)
async def cancelled_iteration(talk: Talk) -> None:
    async def follow() -> None:
        async for _ in talk.ws:
            pass

    following = asyncio.ensure_future(follow())
    await turn()
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following


@operations.within(**TALKS)
async def cancelled_ping(talk: Talk) -> None:
    pong = asyncio.ensure_future(await talk.ws.ping())
    await turn(1)
    pong.cancel()
    with suppress(asyncio.CancelledError):
        await pong


@operations.within(**TALKS)
async def cancelled_send(talk: Talk) -> None:
    sending = [asyncio.ensure_future(_send(talk.ws, LARGE)) for _ in range(3)]
    await turn(1)
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)
    await talk.ws.send("last")
    while await talk.ws.recv() != "last":
        pass


async def _send(ws: Any, message: Any) -> None:
    await ws.send(message)


@operations.within(**TALKS)
async def mistakes(talk: Talk) -> None:
    with suppress(TypeError):
        await talk.ws.send(1)  # type: ignore[arg-type]
    with suppress(TypeError):
        await talk.ws.send({"a": 1})
    with suppress(ValueError):
        await talk.ws.ping(bytes(126))
    receiving = asyncio.ensure_future(talk.ws.recv())
    await turn()
    with suppress(ConcurrencyError):
        await talk.ws.recv()
    await talk.ws.send("end")
    assert await receiving == "end"


@operations.within(**TALKS)
async def pausing(talk: Talk) -> None:
    talk.ws.pause_reading()
    await talk.ws.send("late")
    talk.ws.resume_reading()
    assert await talk.ws.recv() == "late"
    await talk.ws.drain()


@operations.within(**TALKS)
async def streams(talk: Talk) -> None:
    reader, writer = talk.ws.as_stream()
    writer.write(b"a line\n")
    await writer.drain()
    assert await reader.readline() == b"a line\n"


@operations.within(**TALKS)
async def attributes(talk: Talk) -> None:
    for name in ATTRIBUTES.split():
        repr(getattr(talk.ws, name))
    list(talk.server.connections)


@operations.within(**TALKS)
async def not_awaited(talk: Talk) -> None:
    talk.ws.send("one")
    talk.ws.send_many(["two", "three"])
    talk.ws.send_nowait("four")
    for _ in range(4):
        await talk.ws.recv()
