"""FrameWriter: what is appended comes out whole and in order, however it is taken."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.engine.frames import BINARY, CLOSE, CONT, PING, TEXT, frame

SIZES = st.sampled_from([0, 1, 125, 126, 1000, 16383, 16384, 65535, 65536, 100_000])


def test_rfc6455_5_7_frames(engine):
    writer = engine.FrameWriter(client=False)
    assert len(writer) == writer.queued == 0
    assert writer.frame(TEXT, "Hel", False) is None
    writer.frame(CONT, b"lo", fin=True)
    writer.frame(PING, bytearray(b"Hello"))
    writer.frame(TEXT, memoryview(b"\xf2\x48\xcd\xc9\xc9\x07\x00"), True, True)
    expected = bytes.fromhex(
        "0103 48656c 8002 6c6f 8905 48656c6c6f c107 f248cdc9c90700"
    )
    assert len(writer) == writer.queued == len(expected)
    assert writer.take() == expected
    assert len(writer) == 0


@given(
    parts=st.lists(st.tuples(st.sampled_from([TEXT, BINARY, CONT]), SIZES), max_size=8)
)
@settings(deadline=None, max_examples=30)
def test_a_client_masks_each_frame(engine, parts):
    writer = engine.FrameWriter(client=True)
    parser = engine.FrameParser(client=False)
    for opcode, size in parts:
        payload = random.Random(size).randbytes(size)
        writer.frame(opcode, payload, opcode == BINARY)
        octets = writer.take()
        assert octets[1] & 0x80
        if size > 100:
            assert payload not in octets
        if opcode == BINARY:
            (one,) = parser.feed(octets)
            assert one == (BINARY, payload, True, False)


def test_large_payloads_of_a_server_are_not_copied(engine):
    """A thousand times the same payload: memory of one."""
    import tracemalloc

    payload = bytes(100_000)
    tracemalloc.start()
    try:
        writer = engine.FrameWriter(client=False)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            writer.frame(BINARY, payload)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(writer) == 200 * 100_010
    assert grown < 100_000
    while writer:
        chunk = writer.peek(70_000)
        assert chunk in frame(BINARY, payload) * 3
        writer.consume(len(chunk))


def test_a_buffer_that_changes_is_copied(engine):
    for size in (10, 20_000, 100_000):
        for client in (False, True):
            payload = bytearray(b"a" * size)
            writer = engine.FrameWriter(client=client)
            writer.frame(BINARY, payload)
            writer.raw(payload)
            payload[:] = b"b" * size
            payload.append(0)  # it is not held either
            octets = writer.take()
            assert octets.endswith(b"a" * size)
            (one,) = engine.FrameParser(client=not client).feed(octets[:-size])
            assert one.payload == b"a" * size


def test_octets_that_many_queue_are_kept_until_each_has_sent_them(engine):
    """They may be shared: what follows, and what is sent, changes one queue alone."""
    octets = bytes(range(200))
    writers = [engine.FrameWriter(client=False) for _ in range(4)]
    for writer in writers:
        writer.raw(bytes(octets))
    writers[0].consume(150)
    writers[0].raw(b"more")
    writers[1].consume(199)
    writers[1].raw(bytes(9000))  # more than a buffer has room for at first
    writers[2].frame(BINARY, b"x" * 20_000)  # by reference
    left = [writer.take() for writer in writers[:3]]
    assert left[0] == octets[150:] + b"more"
    assert left[1] == octets[199:] + bytes(9000)
    assert left[2] == octets + frame(BINARY, b"x" * 20_000)
    assert writers.pop().peek() == octets


def test_whole_messages(engine):
    """`message` is `frame` for a whole message, with less to check."""
    for client in (False, True):
        writer = engine.FrameWriter(client=client)
        sent = [(TEXT, "aé漢"), (BINARY, b"x" * 70_000), (BINARY, bytearray(b"y"))]
        for opcode, payload in sent:
            assert writer.message(opcode, payload) is None
        with pytest.raises(TypeError):
            writer.message(BINARY, 7)
        parser = engine.MessageParser(client=not client)
        assert parser.receive(writer.take()) == [payload for _, payload in sent]


def test_nothing_is_queued_when_the_call_fails(engine):
    for client in (False, True):
        writer = engine.FrameWriter(client=client)
        for call in (
            lambda w=writer: w.frame(CLOSE, bytes(126)),
            lambda w=writer: w.frame(TEXT, "\ud800"),
            lambda w=writer: w.frame(3, b""),
        ):
            with pytest.raises(ValueError):
                call()
        for call in (
            lambda w=writer: w.frame(TEXT, 5),
            lambda w=writer: w.frame("1", b""),
            lambda w=writer: w.raw("text"),
            lambda w=writer: w.raw(7),
            lambda w=writer: w.raw(None),
        ):
            with pytest.raises(TypeError):
                call()
        for call in (
            lambda w=writer: w.frame(TEXT, memoryview(b"abcd")[::2]),
            lambda w=writer: w.raw(memoryview(b"abcd")[::2]),
        ):
            with pytest.raises(BufferError):
                call()
        assert len(writer) == 0
        assert writer.take() == b""


def test_bounds(engine):
    writer = engine.FrameWriter(client=False)
    writer.raw(b"")
    assert writer.peek() == b""
    writer.consume(0)
    writer.raw(b"abc")
    with pytest.raises(ValueError):
        writer.consume(4)
    for call in (writer.peek, writer.consume):
        with pytest.raises(OverflowError):
            call(-1)
    assert (writer.peek(0), writer.peek(2), writer.peek(10**6)) == (b"", b"ab", b"abc")
    assert len(writer) == 3


class Queue(RuleBasedStateMachine):
    """A writer beside a plain bytes object that holds the same."""

    engine = None

    @initialize()
    def start(self):
        self.writer = self.engine.FrameWriter(client=False)
        self.model = b""

    @rule(opcode=st.sampled_from([TEXT, BINARY]), size=SIZES, fin=st.booleans())
    def append_frame(self, opcode, size, fin):
        payload = random.Random(size).randbytes(size // 2).hex() + "x" * (size % 2)
        if opcode == TEXT:
            self.writer.frame(opcode, payload, fin)
        else:
            self.writer.frame(opcode, payload.encode(), fin)
        self.model += frame(opcode, payload.encode(), fin=fin)

    @rule(size=SIZES)
    def append_raw(self, size):
        octets = random.Random(size).randbytes(size)
        self.writer.raw(octets)
        self.model += octets

    @rule(n=st.integers(0, 200_000))
    def look(self, n):
        assert self.writer.peek(n) == self.model[:n]

    @rule(n=st.integers(0, 200_000))
    def drop(self, n):
        n = min(n, len(self.model))
        self.writer.consume(n)
        self.model = self.model[n:]

    @rule()
    def take(self):
        assert self.writer.take() == self.model
        self.model = b""

    @invariant()
    def same_length(self):
        if hasattr(self, "writer"):
            assert len(self.writer) == self.writer.queued == len(self.model)
            assert self.writer.peek(50) == self.model[:50]


def test_in_any_order(engine):
    machine = type("Queue", (Queue,), {"engine": engine})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, deadline=None)
    )
