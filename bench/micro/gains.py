"""
What `wsfast.accelerate` gains: each library by itself and accelerated, in turns.

``python -m bench.micro.gains [TARGET...]`` prints a table for each target's page of the
manual. A round times one side, then the other; what is told is the best time of each
and the median of the rounds' ratios, in CPU time of this process.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from bench.micro.gains_more import MORE
from wsfast import engine
from wsfast.accelerate import accelerate, undo

KEY = bytes.fromhex("37fa213d")
ROUNDS = 11
ROUND_S = 0.02  # CPU time that a round of one side takes


class Subject(NamedTuple):
    """
    A piece of work.

    Attributes:
        target: The library, as `wsfast.accelerate` calls it.
        work: What is done, for people.
        prepare: Binds the library's names as they are now, and returns a function that
            does the work once and returns its result.

    """

    target: str
    work: str
    prepare: Callable[[], Callable[[], Any]]


def text_of(size: int) -> str:
    """Return text of so many octets, none of them ASCII."""
    return "é" * (size // 2)


def sizes(size: int) -> str:
    """Return how people write a size."""
    return f"{size} B" if size < 1024 else f"{size >> 10} KiB"


def wsproto() -> Iterator[Subject]:
    """Yield what connections of wsproto do for each message."""

    def receive(opcode: int, payload: bytes) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            module = import_module("wsproto.connection")
            made = module.Connection(module.SERVER)
            frame = engine.encode_frame(opcode, payload, mask=KEY)

            def work() -> Any:
                made.receive_data(frame)
                return list(made.events())

            return work

        return prepare

    def send(client: bool, data: str | bytes) -> Callable[[], Callable[[], Any]]:
        def prepare() -> Callable[[], Any]:
            module = import_module("wsproto.connection")
            events = import_module("wsproto.events")
            made = module.Connection(module.CLIENT if client else module.SERVER)
            event = events.Message(data=data)
            # The masking-key is never twice the same: the length is what can be told.
            return lambda: len(made.send(event))

        return prepare

    for size in (64, 1 << 10, 64 << 10):
        told = sizes(size)
        text = text_of(size)
        yield Subject("wsproto", f"receive text, {told}", receive(1, text.encode()))
        yield Subject("wsproto", f"receive binary, {told}", receive(2, bytes(size)))
        yield Subject("wsproto", f"send text, client, {told}", send(True, text))
        yield Subject(
            "wsproto", f"send binary, server, {told}", send(False, bytes(size))
        )


Prepared = Callable[[], Any]


def octets(
    target: str,
    verb: str,
    mask: Callable[[bytes], Prepared],
    validate: Callable[[bytes], Prepared],
) -> Iterator[Subject]:
    """
    Yield what a library does with the octets of a frame.

    Args:
        target: The library.
        verb: What ``mask`` does.
        mask: Binds the library's names, and returns what masks octets.
        validate: The same for what validates text.

    """
    for size in (64, 1 << 10, 64 << 10):
        told = sizes(size)
        yield Subject(target, f"{verb}, {told}", partial(mask, bytes(size)))
        text = text_of(size).encode()
        yield Subject(target, f"validate text, {told}", partial(validate, text))


def validator_of(module: str) -> Callable[[bytes], Prepared]:
    """Return what binds the ``Utf8Validator`` of a module, used for many messages."""

    def validate(data: bytes) -> Prepared:
        made = import_module(module).Utf8Validator()

        def work() -> Any:
            made.reset()
            return made.validate(data)

        return work

    return validate


def autobahn() -> Iterator[Subject]:
    """Yield what a connection of autobahn does with the octets of a frame."""
    module = "autobahn.websocket.protocol"

    def mask(data: bytes) -> Prepared:
        create = import_module(module).create_xor_masker
        return lambda: create(KEY, len(data)).process(data)

    return octets("autobahn", "mask", mask, validator_of(module))


def websocket_client() -> Iterator[Subject]:
    """Yield what websocket-client does with the octets of a frame."""
    module = "websocket._abnf"

    def mask(data: bytes) -> Prepared:
        function = import_module(module).ABNF.mask
        return lambda: function(KEY, data)

    def validate(data: bytes) -> Prepared:
        function = import_module(module).validate_utf8
        return lambda: function(data)

    return octets("websocket-client", "mask", mask, validate)


def gevent_websocket() -> Iterator[Subject]:
    """Yield what gevent-websocket does with the octets of a frame."""
    module = "geventwebsocket.websocket"

    def unmask(data: bytes) -> Prepared:
        header = import_module(module).Header(length=len(data))
        header.mask = KEY
        return lambda: header.unmask_payload(data)

    return octets("gevent-websocket", "unmask", unmask, validator_of(module))


def wsaccel() -> Iterator[Subject]:
    """Yield what importers of wsaccel do with it."""

    def mask(data: bytes) -> Prepared:
        masker = import_module("wsaccel.xormask").XorMaskerSimple
        return lambda: masker(KEY).process(data)

    def validate(data: bytes) -> Prepared:
        validator = import_module("wsaccel.utf8validator").Utf8Validator
        return lambda: validator().validate(data)

    return octets("wsaccel", "mask", mask, validate)


def more(target: str) -> Callable[[], Iterator[Subject]]:
    """Return what yields the subjects of a target of `MORE`."""
    return lambda: (Subject(target, *work) for work in MORE[target]())


#: Target -> what yields its subjects.
TARGETS: dict[str, Callable[[], Iterator[Subject]]] = {
    **{target: more(target) for target in MORE},
    "autobahn": autobahn,
    "gevent-websocket": gevent_websocket,
    "websocket-client": websocket_client,
    "wsaccel": wsaccel,
    "wsproto": wsproto,
}


def subjects(targets: Sequence[str] = ()) -> list[Subject]:
    """Return all subjects, or those of some targets."""
    return [subject for name in targets or TARGETS for subject in TARGETS[name]()]


def both(subject: Subject, measure: Callable[[Callable[[], Any]], Any]) -> list[Any]:
    """Measure a subject by itself, then accelerated."""
    plain = measure(subject.prepare())
    accelerate(subject.target)
    try:
        return [plain, measure(subject.prepare())]
    finally:
        undo(subject.target)


def seconds(work: Callable[[], Any]) -> float:
    """Return the CPU time that a piece of work takes, in seconds."""
    repeats = 1
    while True:
        start = time.process_time()
        for _ in range(repeats):
            work()
        took = time.process_time() - start
        if took >= ROUND_S:
            return took / repeats
        repeats *= 2 if took < ROUND_S / 8 else 1 + int(ROUND_S / took)


def main(targets: Sequence[str]) -> int:
    """Print the table."""
    print("| target | work | by itself | accelerated | gain |")
    print("| --- | --- | --- | --- | --- |")
    for subject in subjects(targets):
        plain, ours = both(subject, lambda work: work())
        assert plain == ours, subject  # wrong is not fast
        rounds = [both(subject, seconds) for _ in range(ROUNDS)]
        best = [min(side) * 1e6 for side in zip(*rounds, strict=True)]
        gain = statistics.median(a / b for a, b in rounds)
        told = " | ".join(f"{us:,.2f} µs" for us in best)
        factor = f"{gain:.1f}" if gain < 10 else f"{gain:,.0f}"
        print(f"| {subject.target} | {subject.work} | {told} | {factor} x |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
