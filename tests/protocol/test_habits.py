"""Options that need another parser or writer: fragments' size, masks, views, UTF-8."""

from __future__ import annotations

from typing import Any

import pytest

from wsfast import engine
from wsfast.protocol import (
    Deflate,
    DeflateOptions,
    DeflateParameters,
    Options,
    Protocol,
)

TEXT, BINARY = 1, 2
KEY = b"\1\2\3\4"
PARAMETERS = DeflateParameters(False, False, 12, 12)


def server(deflate: Any = None, **options: Any) -> Protocol:
    return Protocol(client=False, options=Options(**options), deflate=deflate)


def client(**options: Any) -> Protocol:
    return Protocol(client=True, options=Options(**options))


def frame(opcode: int, payload: bytes, **kwargs: Any) -> bytes:
    return engine.encode_frame(opcode, payload, mask=KEY, **kwargs)


def messages(end: Protocol) -> list[Any]:
    return [event.data for event in end.events_received()]


# ---- max_size=(message, fragment)


@pytest.mark.parametrize("message", [1000, None])
def test_size_of_fragments(message: int | None):
    end = server(max_size=(message, 100))
    for _ in range(3):  # in as many fragments as one likes
        end.receive_data(
            frame(TEXT, b"x" * 100, fin=False)
            + b"".join(frame(0, b"y" * 100, fin=False) for _ in range(8))
            + frame(0, b"z" * 100)
        )
    assert messages(end) == ["x" * 100 + "y" * 800 + "z" * 100] * 3
    end.receive_data(frame(TEXT, b"x" * 101)[:6])  # at the header
    assert (end.failure.code, end.failure.reason_code) == (1009, "fragment_too_big")
    assert end.close_sent.code == 1009


def test_size_of_a_message_in_fragments():
    end = server(max_size=(250, 100))
    end.receive_data(
        frame(TEXT, b"x" * 100, fin=False) + frame(0, b"x" * 100, fin=False)
    )
    end.receive_data(frame(0, b"x" * 51))
    assert (end.failure.code, end.failure.reason_code) == (1009, "message_too_big")


def test_size_of_a_fragment_counts_behind_inflation():
    options = DeflateOptions(threshold=0)
    sender = Protocol(client=True, deflate=Deflate(PARAMETERS, options))
    end = server(Deflate(PARAMETERS, options), max_size=(1000, 100))
    sender.send_message(TEXT, "x" * 100)
    end.receive_data(sender.data_to_send())
    assert messages(end) == ["x" * 100]
    sender.send_message(TEXT, "x" * 101)
    end.receive_data(sender.data_to_send())
    assert end.failure.code == 1009
    assert messages(end) == []


def test_fragments_above_the_size_of_a_message_need_no_limit():
    options = Options(max_size=(100, 200))
    assert not options.special
    end = Protocol(client=False, options=options)
    end.receive_data(frame(TEXT, b"x" * 101))
    assert end.failure.reason_code == "message_too_big"


@pytest.mark.parametrize("size", [-1, (-1, None), (None, -1), (5, -1)])
def test_sizes_that_make_no_sense(size: Any):
    with pytest.raises(ValueError, match="max_size must not be negative"):
        Options(max_size=size)


@pytest.mark.parametrize(
    "name",
    [
        "max_fragments",
        "max_control_rate",
        "max_queue_size",
        "max_send_buffer",
        "ping_interval",
        "ping_timeout",
        "close_timeout",
    ],
)
def test_limits_below_zero_turn_nothing_off(name: str):
    with pytest.raises(ValueError, match=f"{name} must not be negative, got -1"):
        Options(**{name: -1})


@pytest.mark.parametrize("name", ["max_queue", "write_limit"])
@pytest.mark.parametrize("marks", [-1, (1, 2), (1, -1)])
def test_water_marks_that_make_no_sense(name: str, marks: Any):
    with pytest.raises(ValueError, match=f"{name}: water marks must be 0 <= low"):
        Options(**{name: marks})


# ---- mask=


def test_rfc6455_5_3_zero_mask():
    end = client(mask="zero")
    end.send_message(TEXT, "Hello")
    assert end.data_to_send() == b"\x81\x85\0\0\0\0Hello"


def test_masks_of_a_callable():
    keys = iter([KEY, bytearray(b"\5\6\7\x08"), memoryview(b"\x09\x0a\x0b\x0c")])
    end = client(mask=lambda: next(keys))
    end.send_message(TEXT, "a")
    end.send_ping(b"b")
    end.send_message(BINARY, bytearray(b"c"), fin=False)
    assert end.data_to_send() == (
        engine.encode_frame(TEXT, "a", mask=KEY)
        + engine.encode_frame(9, b"b", mask=b"\5\6\7\x08")
        + engine.encode_frame(BINARY, b"c", fin=False, mask=b"\x09\x0a\x0b\x0c")
    )


@pytest.mark.parametrize("key", [b"", b"123", b"12345"])
def test_mask_of_a_wrong_length_is_an_error_and_close_goes_out(key: bytes):
    end = client(mask=lambda: key)
    with pytest.raises(ValueError, match="must return 4 octets, got"):
        end.send_message(TEXT, "a")
    assert end.data_to_send() == b""
    end.send_close(1000)
    parser = engine.FrameParser(client=False)
    assert [found.opcode for found in parser.feed(end.data_to_send())] == [8]


def test_mask_that_is_none():
    with pytest.raises(ValueError, match="mask must be random or zero, got 'one'"):
        Options(mask="one")
    assert not Options(mask="random").special


def test_masks_compress_alike():
    options = DeflateOptions(threshold=0)
    sender = Protocol(
        client=True, options=Options(mask="zero"), deflate=Deflate(PARAMETERS, options)
    )
    end = server(Deflate(PARAMETERS, options))
    sender.send_message(TEXT, "again and again and again")
    octets = sender.data_to_send()
    assert octets[0] == 0xC1
    end.receive_data(octets)
    assert messages(end) == ["again and again and again"]


def test_a_server_does_not_mask():
    end = server(mask="zero")
    end.send_message(TEXT, "a")
    assert end.data_to_send() == b"\x81\x01a"


# ---- text=, validate_utf8=, binary=


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("streaming", [False, True])
def test_text_that_is_not_validated(deflate: bool, streaming: bool):
    bad = b"a\xff\xed\xa0\x80"
    agreed = Deflate(PARAMETERS, DeflateOptions()) if deflate else None
    for validate in (True, False):
        end = server(agreed, text="bytes", validate_utf8=validate)
        end.parser.streaming = streaming
        if deflate:
            peer = Deflate(PARAMETERS, DeflateOptions())
            parts = [peer.encode(bad[:3], False), peer.encode(bad[3:], True)]
        else:
            parts = [bad[:3], bad[3:]]
        end.receive_data(
            frame(TEXT, parts[0], fin=False, rsv1=deflate) + frame(0, parts[1])
        )
        if validate:
            assert end.failure.code == 1007
        else:
            assert b"".join(messages(end)) == bad
            assert end.failure is None
            end.receive_data(frame(TEXT, b"\xff"))
            assert messages(end) == [b"\xff"]


def test_close_reasons_are_validated_all_the_same():
    end = server(text="bytes", validate_utf8=False)
    end.receive_data(frame(8, b"\x03\xe8\xff"))
    assert end.failure.code == 1007


def test_text_that_is_not_validated_is_octets():
    with pytest.raises(ValueError, match='needs text="bytes"'):
        Options(validate_utf8=False)


@pytest.mark.parametrize("size", [(None, None), (None, 1 << 20)])
@pytest.mark.parametrize("deflate", [False, True])
def test_binary_messages_as_views(size: Any, deflate: bool):
    agreed = Deflate(PARAMETERS, DeflateOptions()) if deflate else None
    end = server(agreed, binary="memoryview", max_size=size)
    end.receive_data(frame(BINARY, b"view") + frame(TEXT, b"text") + frame(9, b"ping"))
    if deflate:
        payload = Deflate(PARAMETERS, DeflateOptions()).encode(b"small")
        end.receive_data(frame(BINARY, payload, rsv1=True))
    found = messages(end)
    assert found[:3] == [memoryview(b"view"), "text", b"ping"]
    assert [type(data) for data in found[:3]] == [memoryview, str, bytes]
    assert found[0].readonly
    if deflate:
        assert type(found[3]) is memoryview
        assert found[3] == b"small"


@pytest.mark.parametrize(
    "options", [{"text": "octets"}, {"binary": "array"}, {"overflow": "burn"}]
)
def test_habits_that_there_are_not(options: Any):
    [name] = options
    with pytest.raises(ValueError, match=f"{name} must be"):
        Options(**options)
