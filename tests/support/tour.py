"""
What two libraries that talk to each other have to get right, step by step.

One end goes through `tour`, the other does as told by `obey`; both are written for the
asyncio API of the websockets library. Peers with another API do the same steps in
programs of their own, beside the interop tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: Characters of one to four octets; sizes around each change of the frame header.
ALPHABET = "aé漢🎈"
SIZES = (0, 1, 2, 125, 126, 127, 65535, 65536, 300_000)
BURST = 300


def text_of(size: int) -> str:
    """Return a text of so many characters."""
    return (ALPHABET * (size // 4 + 1))[:size]


def octets_of(size: int) -> bytes:
    """Return so many octets, of every value."""
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def pieces_of(message: Any, count: int) -> Iterator[Any]:
    """Cut a message into so many pieces, and an empty one at the end."""
    step = -(-len(message) // count)
    for start in range(0, len(message), step):
        yield message[start : start + step]
    yield message[:0]


async def obey(ws: Any, tally: Any, argument: Any) -> None:
    """Send back each message, but for orders, which begin with ``!``."""
    while True:
        message = await ws.recv()
        tally.add(message)
        order, _, rest = (
            message[1:].partition(" ")
            if isinstance(message, str) and message.startswith("!")
            else ("", "", "")
        )
        if order == "close":
            code, _, reason = rest.partition(" ")
            await ws.close(int(code), reason)
        elif order == "fragments":
            await ws.send(pieces_of(text_of(int(rest)), 7))
        elif order == "ping":
            await (await ws.ping(rest))
            await ws.send(f"pong {rest}")
        else:
            await ws.send(message)


async def tour(ws: Any, tally: Any, argument: Any) -> None:
    """
    Go through all the steps; the event ``toured`` says that each went well.

    Args:
        ws: Connection to a server that obeys.
        tally: Where to report.
        argument: Who is to close: ``client`` or ``server``.

    """
    for size in SIZES:
        for message in (text_of(size), octets_of(size)):
            await ws.send(message)
            reply = await ws.recv()
            assert reply == message, f"{type(message).__name__} of {size} came back bad"
    for message in (text_of(1000), octets_of(1000)):
        await ws.send(pieces_of(message, 7))
        assert await ws.recv() == message, "fragments came back bad"
    await ws.send("!fragments 5000")
    assert await ws.recv() == text_of(5000), "fragments of the server's are bad"
    await (await ws.ping(b"are you there"))
    await (await ws.ping(b""))
    await ws.send("!ping 1234")
    assert await ws.recv() == "pong 1234"
    for number in range(BURST):
        await ws.send(f"{number} of many")
    for number in range(BURST):
        assert await ws.recv() == f"{number} of many"
    tally.emit("toured", extensions=extensions_of(ws))
    if argument == "client":
        await ws.close(3456, "so long")
    else:
        await ws.send("!close 4321 farewell")
    await ws.recv()


def extensions_of(ws: Any) -> str:
    """Return what the server accepted of the extensions offered."""
    return str(ws.response.headers.get("Sec-WebSocket-Extensions", ""))
