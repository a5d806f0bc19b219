"""
Each allocation fails in turn: ``python -m tests.faults.out_of_memory``.

It is run with ``meddle.c`` preloaded and ``PYTHONMALLOC=malloc``, so that each
allocation of C, Cython and Python alike comes through there. What is done must raise
`MemoryError`, fail its connection, or be right all the same; and nothing may crash.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any

from wsfast import engine
from wsfast.exceptions import ConnectionClosed, InvalidMessage, InvalidPayload
from wsfast.protocol import (
    Deflate,
    DeflateOptions,
    DeflateParameters,
    HeadReader,
    Protocol,
    parse_request,
)

MEDDLE = ctypes.CDLL(None)
FAIL_AT, STOP = MEDDLE.meddle_fail_at, MEDDLE.meddle_stop
MOST = 5000

#: zlib and httptools tell of no memory as of bad input: that ends a connection too.
ALLOWED = (MemoryError, InvalidPayload, ConnectionClosed, InvalidMessage)

KEY = b"abcd"
TEXT = "grüße " * 300
FRAMES = b"".join(
    [
        engine.encode_frame(1, "short", mask=True),
        engine.encode_frame(2, b"x" * 70_000, mask=True),
        engine.encode_frame(9, b"ping", mask=True),
        engine.encode_frame(1, TEXT.encode()[:500], fin=False, mask=True),
        engine.encode_frame(0, TEXT.encode()[500:], mask=True),
    ]
)
HEAD = (
    b"GET /chat?a=b HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


def deflate() -> Deflate:
    return Deflate(DeflateParameters(False, False, 12, 12), DeflateOptions())


def messages(cut: int | None) -> Callable[[], Any]:
    """Return what parses `FRAMES`, whole or cut into pieces."""

    def run() -> Any:
        parser = engine.MessageParser(client=False)
        found = []
        for start in range(0, len(FRAMES), cut or len(FRAMES)):
            parser.feed(FRAMES[start : start + (cut or len(FRAMES))])
            while event := parser.next():
                found.append((event, parser.take_payload()))
        return found

    return run


def frames() -> Any:
    parser = engine.FrameParser(client=False, max_size=None)
    return [tuple(frame) for frame in parser.feed(FRAMES)]


def written() -> Any:
    protocol = Protocol(client=False)
    for size in (0, 100, 70_000, 300_000):
        protocol.send_message(1, "x" * size)
        protocol.send_message(2, b"y" * size)
    return protocol.data_to_send()


def protocol(compressed: bool) -> Callable[[], Any]:
    """Return what has two ends talk, with or without compression."""

    def run() -> Any:
        client, server = (
            Protocol(client=role, deflate=deflate() if compressed else None)
            for role in (True, False)
        )
        client.send_message(1, TEXT)
        client.send_message(2, b"z" * 5000)
        client.send_ping(b"ping")
        server.receive_data(client.data_to_send())
        found = [server.events_received()]
        server.send_message(1, "y" * 5000)
        server.send_close(1000, "bye")
        client.receive_data(server.data_to_send())
        found.append(client.events_received())
        for end in (client, server):
            if end.failure is not None:
                raise end.failure
        return str(found)

    return run


def heads() -> Any:
    reader = HeadReader(kind="request")
    assert reader.feed(HEAD)
    return str(parse_request(reader.head))


OPERATIONS: dict[str, Callable[[], Any]] = {
    "mask": lambda: engine.mask(b"x" * 5000, KEY, 3),
    "encode": lambda: len(engine.encode_frame(1, TEXT, mask=True)),
    "decode": lambda: engine.decode_utf8(TEXT.encode()),
    "messages": messages(None),
    "messages in pieces": messages(777),
    "frames": frames,
    "writer": written,
    "protocol": protocol(False),
    "compression": protocol(True),
    "heads": heads,
}


def sweep(run: Callable[[], Any]) -> tuple[int, int]:
    """Do something with its first allocation failing, its second, to the last."""
    expected = run()
    refused = 0
    for at in range(1, MOST):
        failure = got = None
        FAIL_AT(at)
        try:
            got = run()
        except ALLOWED as exc:
            failure = exc
        except RuntimeError as exc:  # how Python 3.10 tells that it cannot import
            if str(exc) != "can't allocate lock":
                raise
            failure = exc
        try:
            failed = STOP()
        except MemoryError:  # it was this one's
            STOP()
            failed = False
        if failure is None:
            assert got == expected, (at, got)
        else:
            refused += 1
            assert failed, (at, failure)
        if not failed:
            return at - 1, refused
    raise AssertionError("no end of it")


if __name__ == "__main__":
    gc.disable()
    for name, operation in OPERATIONS.items():
        print(f"{name}: %d allocations, %d refused" % sweep(operation), flush=True)
        gc.collect()
