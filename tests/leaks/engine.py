"""The engine: functions and classes, with good input and with bad."""

from __future__ import annotations

from contextlib import suppress

from tests.leaks.measure import Operations
from wsfast import engine
from wsfast.accelerate import primitives

operations = Operations("engine")

KEY = bytes.fromhex("37fa213d")  # masking-key of the examples in RFC 6455 §5.7
TEXT = "κόσμε " * 40
OCTETS = TEXT.encode()
HELLO = engine.encode_frame(1, "Hello", mask=KEY)
LONG = engine.encode_frame(2, bytes(70_000), mask=KEY)
PIECES = b"".join(
    engine.encode_frame(opcode, part, fin=fin, mask=KEY)
    for opcode, part, fin in [
        (1, OCTETS[:7], False),
        (9, b"between", True),
        (0, OCTETS[7:50], False),
        (0, OCTETS[50:], True),
        (8, b"\x03\xe8bye", True),
    ]
)


@operations
def mask() -> None:
    engine.mask(OCTETS, KEY, 3)
    with suppress(ValueError):
        engine.mask(OCTETS, b"123")
    with suppress(TypeError):
        engine.mask("text", KEY)  # type: ignore[arg-type]


@operations
def mask_into() -> None:
    octets = bytearray(len(OCTETS))
    engine.mask_into(OCTETS, KEY, octets)
    engine.mask_into(OCTETS, KEY, octets, 8, 16, 1)
    with suppress(ValueError):
        engine.mask_into(OCTETS, KEY, bytearray(3))
    with suppress(TypeError, BufferError, ValueError):
        engine.mask_into(OCTETS, KEY, b"cannot be written")


@operations
def unmask_inplace() -> None:
    engine.unmask_inplace(bytearray(OCTETS), KEY, 2)
    with suppress(TypeError, BufferError, ValueError):
        engine.unmask_inplace(OCTETS, KEY)


@operations
def is_valid_utf8() -> None:
    engine.is_valid_utf8(OCTETS)
    engine.is_valid_utf8(b"\xed\xa0\x80")
    with suppress(TypeError):
        engine.is_valid_utf8(1)  # type: ignore[arg-type]


@operations
def decode_utf8() -> None:
    engine.decode_utf8(OCTETS)
    engine.decode_utf8(b"plain")
    with suppress(UnicodeDecodeError):
        engine.decode_utf8(OCTETS[:-2])


@operations
def utf8_validator() -> None:
    validator = engine.Utf8Validator()
    validator.validate(OCTETS[:7])
    validator.validate(memoryview(OCTETS)[7:])
    validator.reset()
    validator.validate(b"\xff")


@operations
def encode() -> None:
    engine.encode_header(1, 70_000, key=KEY)
    engine.encode_frame(1, TEXT, mask=True)
    engine.encode_frame(2, OCTETS, fin=False, rsv1=True)
    with suppress(ValueError):
        engine.encode_frame(16, b"")
    with suppress(ValueError):
        engine.encode_header(9, 126)
    with suppress(TypeError):
        engine.encode_frame(1, None)  # type: ignore[arg-type]
    with suppress(UnicodeEncodeError):
        engine.encode_frame(1, "\ud800")


@operations
def masking_key() -> None:
    engine.masking_key()


@operations
def frame_parser() -> None:
    parser = engine.FrameParser(client=False)
    parser.feed(PIECES[:9])
    parser.feed(PIECES[9:])
    parser.feed(LONG[:100])
    with suppress(engine.FrameError):
        engine.FrameParser(client=False).feed(HELLO + b"\x81\x00")
    with suppress(TypeError):
        parser.feed("text")  # type: ignore[arg-type]


@operations
def message_parser_receives() -> None:
    parser = engine.MessageParser(client=False)
    parser.receive(HELLO + PIECES[:20])
    parser.receive(PIECES[20:])
    with suppress(engine.FrameError):
        engine.MessageParser(client=False).receive(HELLO + b"\x81\x00")
    with suppress(engine.FrameError):
        engine.MessageParser(client=False, max_size=100).receive(HELLO + LONG)


@operations
def message_parser_steps() -> None:
    parser = engine.MessageParser(client=False)
    parser.streaming = True
    parser.feed(PIECES)
    while parser.next() > 0:
        parser.take_payload()
    parser.stash()


@operations
def message_parser_long() -> None:
    parser = engine.MessageParser(client=False)
    for start in range(0, len(LONG), 30_000):
        parser.feed(LONG[start : start + 30_000])
        while parser.next() > 0:
            parser.take_payload()
        parser.stash()


@operations
def message_parser_cut_off() -> None:
    parser = engine.MessageParser(client=False, text_as_bytes=True)
    parser.receive(PIECES[:30])
    parser.discard()
    engine.MessageParser(client=False).receive(LONG[:50_000])


@operations
def frame_writer() -> None:
    writer = engine.FrameWriter(client=True)
    writer.message(1, TEXT)
    writer.message(2, bytearray(70_000))
    writer.frame(9, b"ping")
    writer.raw(HELLO)
    writer.peek(100)
    writer.consume(40)
    writer.take()
    with suppress(ValueError):
        writer.frame(9, bytes(126))
    engine.FrameWriter(client=False).message(2, bytes(70_000))


@operations
def frame_error() -> None:
    error = engine.FrameError("text", 1002, "name", [])
    error.__reduce__()


@operations
def event_parser() -> None:
    parser = engine.EventParser(max_line=100, max_size=1000)
    parser.feed(b"event: add\nid: 7\r\nretry: 5\r\ndata: 1\rda")
    parser.feed(b"ta: 2\n\n")
    with suppress(engine.EventError):
        parser.feed(b"data: 1\n\ndata: " + bytes(200))


@operations
def encode_event() -> None:
    engine.encode_event("a\nb", event="add", id="4", retry=10)
    with suppress(ValueError):
        engine.encode_event("a", event="b\n")


@operations
def accelerated_primitives() -> None:
    primitives.XorMaskerSimple(KEY).process(OCTETS)
    primitives.ByteArrayMasker(KEY)
    primitives.Utf8Validator().validate(OCTETS)
