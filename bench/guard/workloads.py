"""
What the guard counts: ``python -m bench.guard.workloads [PART...]``, inside valgrind.

Each workload is prepared and warmed up unseen; what it does between two marks is
counted, and written down under its name. Prints how much that was, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Callable
from typing import Any

import marks  # type: ignore[import-not-found] # built from marks.c

from bench.guard.layers import WORKLOADS, count_rounds
from bench.micro.texts import text_of
from bench.passes import Pass, measure
from wsfast import engine
from wsfast.engineio._packets import decode_payload, encode_payload
from wsfast.protocol.messages import Protocol

KEY = bytes.fromhex("37fa213d")
LONG = 64 << 10  # octets
CONNECTIONS = 50
READ = 64 << 10  # octets that one read brings

#: workload -> for how many messages or octets it was counted
done: dict[str, int] = {}


def count(name: str, per_call: int, calls: int, function: Any, *arguments: Any) -> None:
    """Count ``calls`` calls, of ``per_call`` messages or octets each."""
    for _ in range(5):
        function(*arguments)
    marks.on()
    for _ in range(calls):
        function(*arguments)
    marks.off()
    marks.dump(name)
    done[name] = per_call * calls


def functions() -> None:
    """Count what the engine does to the octets of one payload."""
    short, long = b"x" * 64, b"x" * LONG
    count("mask, 64 octets", 1, 2000, engine.mask, short, KEY)
    count("mask, per octet", LONG, 20, engine.mask, long, KEY)
    for script in ("ascii", "latin", "cjk"):
        octets = text_of(script, LONG).encode()
        name = f"{script}, per octet"
        count(f"UTF-8, {name}", len(octets), 20, engine.is_valid_utf8, octets)
        count(f"decode, {name}", len(octets), 20, engine.decode_utf8, octets)
    count("decode, 64 octets", 1, 2000, engine.decode_utf8, short)
    text = short.decode()
    count("frame, 64 octets", 1, 2000, engine.encode_frame, 1, text)
    count("header, 64 octets", 1, 2000, engine.encode_header, 1, 64)


def read_of(script: str, size: int) -> tuple[bytes, int]:
    """Return what one read brings: masked frames, and how many."""
    frame = engine.encode_frame(1, text_of(script, size), mask=True)
    frames = max(1, READ // len(frame))
    return frame * frames, frames


class Echo(Protocol):
    def message_received(self, message: str | bytes) -> None:
        self.send_message(1, message)


def messages() -> None:
    """Count what the parser and the protocol do to what one read brings."""
    parse = engine.MessageParser(client=False).receive
    frames, short = read_of("ascii", 64)
    count("parser, 64 octets", short, 10, parse, frames)
    for script in ("ascii", "cjk"):
        octets, _ = read_of(script, 16 << 10)
        count(f"parser, {script}, per octet", len(octets), 20, parse, octets)
    protocol = Echo(client=False)

    def echo() -> None:
        protocol.receive_data(frames)
        protocol.data_to_send()

    count("protocol, 64 octets", short, 5, echo)


def counted(run_pass: Pass) -> int:
    """Have the reactor do one pass, counted."""
    marks.on()
    run_pass()
    marks.off()
    return 0


def echoes() -> None:
    """Count what the reactor's passes do: read, parse, deliver, send."""
    kinds = [
        ("64 octets", 64, 1, 40),
        ("64 octets, 16 in flight", 64, 16, 10),
        ("16 KiB", 16 << 10, 1, 10),
    ]
    for style in ("callback", "coroutine"):
        for kind, size, depth, rounds in kinds:
            args = argparse.Namespace(
                style=[style],
                connections=CONNECTIONS,
                size=size,
                depth=depth,
                binary=False,
                broadcast=False,
                rounds=rounds,
            )
            asyncio.run(measure(args, counted, marks.zero))
            name = f"echo, {style}, {kind}"
            marks.dump(name)
            done[name] = CONNECTIONS * depth * rounds


def layers() -> None:
    """Count what is above WebSocket."""
    packets = ["4" + "x" * 64] * 16
    payload = encode_payload(packets)
    count("Engine.IO, packet read", 16, 100, decode_payload, payload, 16)
    count("Engine.IO, packet written", 16, 100, encode_payload, packets)
    message = ["x" * 64]
    frame = engine.encode_sockjs(message)[1:]
    count("SockJS, frame read", 1, 1000, engine.decode_sockjs, frame)
    count("SockJS, frame written", 1, 1000, engine.encode_sockjs, message)
    for name, workload in WORKLOADS.items():
        done[name] = asyncio.run(
            count_rounds(workload, CONNECTIONS, counted, marks.zero)
        )
        marks.dump(name)


PARTS: dict[str, Callable[[], None]] = {
    part.__name__: part for part in (functions, messages, echoes, layers)
}


def main() -> None:
    gc.collect()
    gc.freeze()
    gc.disable()
    marks.start()
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
    print(json.dumps({"kernel": engine.KERNEL, "done": done}))


if __name__ == "__main__":
    main()
