"""
The peer picows, its own API, as a server that obeys and as a client that tours.

The steps are those of `tests.support.tour`. There is no compression.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)

from tests.support.tour import BURST, SIZES, octets_of, pieces_of, text_of

LARGE = 1 << 24


def emit(event: str, **fields: Any) -> None:
    """Write an event."""
    print(json.dumps({"event": event, **fields}), flush=True)


def send(transport: WSTransport, message: str | bytes) -> None:
    """Send a message as what it is."""
    if isinstance(message, str):
        transport.send(WSMsgType.TEXT, message.encode())
    else:
        transport.send(WSMsgType.BINARY, message)


def send_pieces(transport: WSTransport, message: str | bytes) -> None:
    """Send a message in fragments."""
    kind = WSMsgType.TEXT if isinstance(message, str) else WSMsgType.BINARY
    pieces = [p.encode() if isinstance(p, str) else p for p in pieces_of(message, 7)]
    for n, piece in enumerate(pieces):
        kind_now = WSMsgType.CONTINUATION if n else kind
        transport.send(kind_now, piece, fin=n == len(pieces) - 1)


def number_of(frame: WSFrame) -> int:
    """Return the code of a close frame, be it a member of the enumeration or not."""
    code: Any = frame.get_close_code()
    return int(getattr(code, "value", code))


class Messages(WSListener):
    """
    Puts messages together.

    Args:
        deliver: Called with the transport, the kind and the message.
        path: What the client asked for.

    """

    def __init__(self, deliver: Callable[..., None], path: str = "") -> None:
        self.deliver, self.path = deliver, path
        self.kind: WSMsgType | None = None
        self.parts: list[bytes] = []

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame."""
        kind, payload = frame.msg_type, frame.get_payload_as_bytes()
        if kind is WSMsgType.CLOSE:
            code, reason = number_of(frame), frame.get_close_reason() or ""
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            self.deliver(transport, kind, (code, reason, self.path))
            return
        if kind is WSMsgType.PONG:  # pings are answered by the library
            self.deliver(transport, kind, payload)
            return
        if kind is not WSMsgType.CONTINUATION:
            self.kind, self.parts = kind, []
        self.parts.append(payload)
        if frame.fin:
            data = b"".join(self.parts)
            message = data.decode() if self.kind is WSMsgType.TEXT else data
            self.deliver(transport, self.kind, message)


def obey(transport: WSTransport, kind: WSMsgType, message: Any) -> None:
    """Send back a message, or do as ordered."""
    if kind is WSMsgType.CLOSE:
        code, reason, path = message
        emit("end", path=path, code=code, reason=reason)
    elif kind is WSMsgType.PONG:
        send(transport, f"pong {message.decode()}")
    elif isinstance(message, str) and message.startswith("!"):
        order, _, rest = message[1:].partition(" ")
        if order == "close":
            code, _, reason = rest.partition(" ")
            transport.send_close(int(code), reason.encode())  # type: ignore[arg-type]
        elif order == "fragments":
            send_pieces(transport, text_of(int(rest)))
        else:
            transport.send_ping(rest.encode())
    else:
        send(transport, message)


async def serve(deflate: bool) -> None:
    """Serve until standard input ends."""

    def factory(request: WSUpgradeRequest) -> Messages:
        return Messages(obey, request.path.decode())

    server = await ws_create_server(factory, "127.0.0.1", 0, max_frame_size=LARGE)
    emit("listening", port=server.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


async def tour(uri: str, deflate: bool, end: str) -> None:
    """Go through the steps."""
    queue: asyncio.Queue[tuple[WSMsgType, Any]] = asyncio.Queue()

    def deliver(transport: WSTransport, kind: WSMsgType, message: Any) -> None:
        queue.put_nowait((kind, message))

    transport, _ = await ws_connect(
        lambda: Messages(deliver), uri, max_frame_size=LARGE
    )

    async def expect(message: Any, kind: WSMsgType | None = None) -> None:
        if kind is None:
            text = isinstance(message, str)
            kind = WSMsgType.TEXT if text else WSMsgType.BINARY
        got = await queue.get()
        assert got == (kind, message), f"expected {kind} {message[:50]!r}"

    for size in SIZES:
        for message in (text_of(size), octets_of(size)):
            send(transport, message)
            await expect(message)
    for message in (text_of(1000), octets_of(1000)):
        send_pieces(transport, message)
        await expect(message)
    send(transport, "!fragments 5000")
    await expect(text_of(5000))
    for payload in (b"are you there", b""):
        transport.send_ping(payload)
        await expect(payload, WSMsgType.PONG)
    send(transport, "!ping 1234")
    await expect("pong 1234")
    for number in range(BURST):
        send(transport, f"{number} of many")
    for number in range(BURST):
        await expect(f"{number} of many")
    emit("toured", extensions="")
    if end == "client":
        transport.send_close(3456, b"so long")  # type: ignore[arg-type]
    else:
        send(transport, "!close 4321 farewell")
    kind, (code, reason, _) = await queue.get()
    assert kind is WSMsgType.CLOSE
    emit("end", code=code, reason=reason)
    await transport.wait_disconnected()


if __name__ == "__main__":
    options = json.loads(sys.argv[2])
    asyncio.run(serve(**options) if sys.argv[1] == "server" else tour(**options))
