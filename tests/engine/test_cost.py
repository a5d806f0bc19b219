"""Time grows with the octets, memory with the message: whatever a peer sends."""

from __future__ import annotations

import gc
import sys
import sysconfig
import time
import tracemalloc

import pytest

from tests.engine.frames import BINARY, CONT, PING, PONG, TEXT, frame

KEY = b"\x01\x02\x03\x04"  # ASCII stays ASCII under it

STREAMS = {
    "octet by octet": lambda n: [b"x"] * n,
    "one frame in many pieces": lambda n: [bytes(16)] * n,
    "fragments of one octet": lambda n: (
        [frame(CONT, b"x", fin=False, key=KEY) * 20] * (n // 20)
    ),
    "fragments of one character": lambda n: (
        [frame(CONT, "é".encode(), fin=False, key=KEY) * 20] * (n // 20)
    ),
    "pings inside a message": lambda n: [frame(PING, b"x", key=KEY) * 20] * (n // 20),
    "all in one piece": lambda n: [frame(CONT, b"x", fin=False, key=KEY) * n],
    "messages in one piece": lambda n: [frame(TEXT, b"x", key=KEY) * n],
}


def start_of(name):
    """Return what has to come before the octets of a stream."""
    if name in {"octet by octet", "one frame in many pieces"}:
        return b"\x81\xff" + (1 << 30).to_bytes(8, "big") + KEY
    if name.startswith("messages"):
        return b""
    return frame(TEXT, "ü".encode(), fin=False, key=KEY)


def seconds(engine, name, n, *, streaming):
    """Return the processor time that a stream takes, the best of some runs."""
    best = 1e9
    for _ in range(3):
        pieces = STREAMS[name](n)
        parser = engine.MessageParser(client=False, max_size=None, text_as_bytes=True)
        parser.streaming = streaming
        parser.receive(start_of(name))
        begin = time.process_time()
        for piece in pieces:
            parser.receive(piece)
        best = min(best, time.process_time() - begin)
    return best


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", STREAMS)
def test_time_is_linear(engine, name, streaming):
    factor = 16
    n = 20_000 if engine.name == "c" else 2_000
    few = seconds(engine, name, n, streaming=streaming)
    many = seconds(engine, name, n * factor, streaming=streaming)
    assert many < few * factor * 4 + 0.01, (few, many)


@pytest.mark.parametrize("kind", ["raw", "frame"])
def test_writing_is_linear(engine, kind):
    def run(n):
        best = 1e9
        for _ in range(3):
            writer = engine.FrameWriter(client=False)
            begin = time.process_time()
            writer.raw(bytes(n))  # a peer that is n octets behind, and stays there
            for _ in range(n // 10):
                if kind == "raw":
                    writer.raw(b"0123456789")
                else:
                    writer.frame(TEXT, b"01234567")
                writer.consume(10)
            best = min(best, time.process_time() - begin)
        return best

    n = 40_000
    few, many = run(n), run(n * 16)
    assert many < few * 16 * 4 + 0.01, (few, many)


def traced(run):
    """Return the most memory that a run held, over what it held before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = run()
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del kept
    return now - before, peak - before


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_memory_of_a_message_in_fragments(engine, opcode, size):
    total = 400_000 if engine.name == "c" else 40_000
    piece = frame(CONT, b"x" * size, fin=False, key=KEY)

    def run():
        parser = engine.MessageParser(client=False)
        parser.receive(frame(opcode, fin=False, key=KEY))
        for _ in range(total // size):
            parser.receive(piece)
        return parser

    _, peak = traced(run)
    assert peak <= 2 * total + 4096 + 2000  # THREATS: 2 x payload + 4 KiB


def test_a_declared_length_costs_nothing(engine):
    for opcode in (TEXT, BINARY):
        for octets in (b"x", b"x" * 100):

            def run(opcode=opcode, octets=octets):
                parser = engine.MessageParser(client=False, max_size=None)
                parser.receive(frame(opcode, octets, fin=False, key=KEY))
                parser.receive(b"\x80\xff" + (1 << 62).to_bytes(8, "big") + KEY)
                parser.receive(octets)
                return parser

            _, peak = traced(run)
            assert peak < 32_768


def test_after_an_error_nothing_is_kept(engine):
    def run():
        parser = engine.MessageParser(client=False)
        parser.receive(frame(BINARY, bytes(500_000), fin=False, key=KEY))
        for _ in range(50):
            with pytest.raises(engine.FrameError):
                parser.receive(frame(3, bytes(100_000), key=KEY))
        return parser

    now, _ = traced(run)
    assert now < 50_000  # a tenth of the message; Python 3.14 keeps 29 KB of errors


def test_unsolicited_pongs_leave_nothing_behind(engine):
    parser = engine.MessageParser(client=False)
    many = frame(PONG, bytes(125), key=KEY) * 100

    def run():
        for _ in range(50):
            parser.receive(many)

    now, _ = traced(run)
    assert now < 4096


def test_an_idle_parser_holds_no_buffer(engine):
    parser = engine.MessageParser(client=False)
    writer = engine.FrameWriter(client=False)
    octets = frame(TEXT, b"x" * 100_000, key=KEY)

    def run():
        for piece in (octets[:50_000], octets[50_000:]):
            parser.receive(piece)
        writer.frame(TEXT, b"x" * 10_000)
        writer.take()

    now, _ = traced(run)
    assert now < 4096


def test_nothing_leaks(engine):
    """A reference lost in each round would show as some 30 KiB and more."""
    good = frame(TEXT, b"x" * 60, key=KEY) + frame(BINARY, b"y", fin=False, key=KEY)
    good += frame(PING, b"p", key=KEY) + frame(CONT, b"z" * 200, key=KEY)
    bad_text = frame(TEXT, b"\xff" * 40, key=KEY)
    strided = memoryview(bytearray(8))[::2]

    def failing(call, *args, **options):
        with pytest.raises((ValueError, TypeError, BufferError, OverflowError)):
            call(*args, **options)

    def one_round(n):
        octets = bytes([n & 0x7F]) * 50
        engine.mask(octets, KEY)
        engine.mask_into(octets, KEY, bytearray(60), 5, 40)
        engine.unmask_inplace(bytearray(octets), KEY)
        engine.decode_utf8(octets)
        engine.decode_utf8("é漢🚀".encode() * 9)
        engine.encode_frame(1, octets, mask=True)
        engine.encode_header(2, 1000 + n, key=engine.masking_key())
        validator = engine.Utf8Validator()
        validator.validate(octets)
        validator.validate(b"\xff")
        for call, *args in (
            (engine.mask, octets, b"123"),
            (engine.mask, strided, KEY),
            (engine.mask_into, octets, KEY, bytearray(1)),
            (engine.unmask_inplace, octets, KEY),
            (engine.decode_utf8, b"\xff" + octets),
            (engine.encode_frame, 3, octets),
            (engine.encode_header, 1, -1),
            (engine.MessageParser(client=False).receive, bad_text),
            (engine.FrameParser(client=True).feed, bad_text),
            (engine.FrameWriter(client=True).frame, 9, bytes(126)),
        ):
            failing(call, *args)
        parser = engine.MessageParser(client=False)
        parser.receive(good)
        for i in range(0, len(good), 7):
            parser.receive(good[i : i + 7])
        parser.streaming = True
        parser.receive(frame(TEXT, "é".encode()[:1], fin=False, key=KEY))
        engine.FrameParser(client=False).feed(good + good[:40])
        writer = engine.FrameWriter(client=False)
        writer.frame(2, bytes(20_000))
        writer.raw(octets)
        writer.consume(7)
        writer.peek(9)
        writer.frame(1, octets)

    for n in range(50):
        one_round(n)
    tracemalloc.start()
    try:
        for n in range(20):
            one_round(n)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for n in range(1000):
            one_round(n)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 10_000


@pytest.mark.skipif(
    not sys.platform.startswith("linux")
    or bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="counts what Linux does for storage that is kept under the GIL",
)
def test_the_storage_of_long_messages_is_used_again(engine):
    """Even if each message is held until the next one is there."""
    if engine.name != "c":
        pytest.skip("the pure engine leaves that to the allocator")
    import resource

    size = 16 << 20
    octets = frame(BINARY, bytes(size), key=KEY)
    pieces = [octets[at : at + (256 << 10)] for at in range(0, len(octets), 256 << 10)]
    parser = engine.MessageParser(client=False, max_size=None)
    held = []
    for number in range(8):
        if number == 4:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for piece in pieces:
            held = parser.receive(piece) or held
        assert len(held[0]) == size
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < size // 4096  # as many as one of the four would have, not four
