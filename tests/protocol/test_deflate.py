"""Compression of messages (RFC 7692 §7.2, THREATS 2.3)."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.inflate import distances
from wsfast.exceptions import InvalidPayload, PayloadTooBig, ProtocolError
from wsfast.protocol import Deflate, DeflateOptions, DeflateParameters
from wsfast.protocol.deflate import BACKENDS, MAX_IDLE, SLICE, STEP

LEVELS = {"zlib": range(10), "zlib-ng": range(10), "isal": range(4)}


@pytest.fixture(params=list(BACKENDS))
def backend(request) -> str:
    name: str = request.param
    if name != "zlib":
        pytest.importorskip(BACKENDS[name])
    return name


def make(
    backend: str = "zlib",
    local: tuple[bool, int] = (False, 15),
    remote: tuple[bool, int] = (False, 15),
    **options,
) -> Deflate:
    parameters = DeflateParameters(local[0], remote[0], local[1], remote[1])
    return Deflate(parameters, DeflateOptions(backend=backend, **options))


def squeeze(data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """Return a raw deflate stream, made by nobody but zlib."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush(flush)


def json_like(size: int, seed: int = 1) -> bytes:
    rng = random.Random(seed)
    words = [b'{"id": %d, ', b'"name": "n%d", ', b'"value": %d}, ', b"[%d, null], "]
    out = b""
    while len(out) < min(size, 20_000):
        out += rng.choice(words) % rng.randrange(1000)
    return (out * (size // len(out) + 1))[:size] if out else out


# The examples of RFC 7692 §7.2.3


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("f248cdc9c90700", b"Hello"),  # §7.2.3.1 one block
        ("000500faff48656c6c6f00", b"Hello"),  # §7.2.3.3 no compression
        ("f348cdc9c9070000", b"Hello"),  # §7.2.3.4 a final block
        ("f24805000000ffffcac9c90700", b"Hello"),  # §7.2.3.5 two blocks
        ("00", b""),  # §7.2.3.6 an empty message
        ("f348cdc9c90700", b"Hello"),  # a final block, and no empty one behind it
        ("0300", b""),
    ],
)
@pytest.mark.parametrize("no_takeover", [False, True])
def test_rfc7692_7_2_3_examples(backend, payload, expected, no_takeover):
    deflate = make(backend, remote=(no_takeover, 15))
    for _ in range(3):
        assert deflate.decode(bytes.fromhex(payload)) == expected


def test_rfc7692_7_2_3_2_shared_window(backend):
    deflate = make(backend)
    assert deflate.decode(bytes.fromhex("f248cdc9c90700")) == b"Hello"
    assert deflate.decode(bytes.fromhex("f200110000")) == b"Hello"
    forgetful = make(backend, remote=(True, 15))
    assert forgetful.decode(bytes.fromhex("f248cdc9c90700")) == b"Hello"
    with pytest.raises(InvalidPayload):
        forgetful.decode(bytes.fromhex("f200110000"))


def test_rfc7692_7_2_3_1_fragments(backend):
    deflate = make(backend)
    assert deflate.decode(bytes.fromhex("f248cd"), None, False) in (b"", b"H", b"He")
    deflate = make(backend)
    pieces = [deflate.decode(bytes.fromhex("f248cd"), None, False)]
    pieces.append(deflate.decode(bytes.fromhex("c9c90700"), None, True))
    assert b"".join(pieces) == b"Hello"


def test_empty_message(backend):
    sender, receiver = make(backend), make(backend)
    for message in (b"", b"", b"x", b"", b""):
        payload = sender.encode(message)
        assert payload
        assert receiver.decode(payload) == message


# Both ends, all parameters


@settings(deadline=None, max_examples=60)
@given(
    names=st.tuples(st.sampled_from(list(BACKENDS)), st.sampled_from(list(BACKENDS))),
    no_takeover=st.booleans(),
    bits=st.integers(8, 15),
    level=st.integers(0, 3),
    mem_level=st.integers(1, 9),
    messages=st.lists(
        st.one_of(
            st.binary(max_size=300),
            st.integers(0, 20_000).map(json_like),
            st.integers(0, 70_000).map(bytes),
        ),
        max_size=5,
    ),
    cuts=st.lists(st.integers(0, 20_000), max_size=3),
)
def test_messages_arrive(names, no_takeover, bits, level, mem_level, messages, cuts):
    for name in names:
        if name != "zlib":
            pytest.importorskip(BACKENDS[name])
    sender = make(names[0], local=(no_takeover, bits), level=level, mem_level=mem_level)
    receiver = make(names[1], remote=(no_takeover, bits))
    for message in messages:
        edges = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
        arrived = b""
        for number in range(1, len(edges)):
            piece = message[edges[number - 1] : edges[number]]
            final = number == len(edges) - 1
            payload = sender.encode(piece, final)
            arrived += receiver.decode(payload, len(message) - len(arrived), final)
        assert arrived == message


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer(backend, kind):
    payload = make(backend).encode(kind(b"hello" * 30))
    assert make(backend).decode(kind(payload)) == b"hello" * 30


@pytest.mark.parametrize("bits", range(8, 16))
def test_no_match_reaches_behind_the_window(backend, bits):  # D-3
    rng = random.Random(bits)
    data = bytes(rng.randrange(256) for _ in range(300))
    far = data + bytes(rng.randrange(256) for _ in range((1 << bits) - 300 + 20)) + data
    near = json_like(2000)
    for level in LEVELS[backend]:
        deflate = make(backend, local=(False, bits), level=level)
        stream = b""
        for message in (near, far, near[:500], far):
            stream += deflate.encode(message) + b"\x00\x00\xff\xff"
        reached = list(distances(stream))
        assert max(reached, default=0) <= 1 << bits
        if level:
            assert reached


def test_messages_without_context_takeover_stand_alone(backend):
    options = DeflateOptions(backend=backend)
    parameters = DeflateParameters(True, True, 15, 15)
    connections = [Deflate(parameters, options) for _ in range(3)]
    message = json_like(2000)
    for turn in range(9):
        payload = connections[turn % 3].encode(message)
        assert zlib.decompressobj(-15).decompress(payload) == message
        fresh = make(backend, remote=(True, 15))
        assert fresh.decode(payload) == message
    assert len(options._idle[15]) == 1  # one compressor served all of them


def test_shared_compressor_is_not_used_by_two_at_once(backend):
    options = DeflateOptions(backend=backend)
    parameters = DeflateParameters(True, True, 15, 15)
    one, two = Deflate(parameters, options), Deflate(parameters, options)
    first = one.encode(b"one" * 100, False)
    whole = two.encode(b"two" * 100)
    last = one.encode(b"one" * 100, True)
    reader = make(backend, remote=(True, 15))
    assert reader.decode(first, None, False) + reader.decode(last) == b"one" * 200
    assert reader.decode(whole) == b"two" * 100


def test_compressors_at_rest_are_few(backend):
    options = DeflateOptions(backend=backend)
    connections = [
        Deflate(DeflateParameters(True, True, 9, 9), options) for _ in range(9)
    ]
    for last in (False, True):
        for connection in connections:
            connection.encode(b"x" * 100, last)
    assert len(options._idle[9]) == MAX_IDLE


@pytest.mark.parametrize("no_takeover", [False, True])
def test_one_message_for_many_connections(backend, no_takeover):
    options = DeflateOptions(backend=backend)
    parameters = DeflateParameters(no_takeover, no_takeover, 12, 12)
    senders = [Deflate(parameters, options) for _ in range(3)]
    receivers = [Deflate(parameters, options) for _ in range(3)]
    own, common = json_like(500, 2), json_like(500, 3)
    assert len({sender.alone_key for sender in senders}) == 1
    for turn in range(3):
        payload = senders[turn].encode_alone(common)
        for sender, receiver in zip(senders, receivers, strict=True):
            assert receiver.decode(sender.encode(own)) == own
            sender.sent_alone()
            assert receiver.decode(payload) == common
            assert receiver.decode(sender.encode(own)) == own


def test_context_takeover_pays(backend):
    deflate = make(backend)
    message = json_like(1000)
    first, second = deflate.encode(message), deflate.encode(message)
    assert len(second) < len(first) / 4
    forgetful = make(backend, local=(True, 15))
    assert len(forgetful.encode(message)) == len(forgetful.encode(message))


# D-1, D-7: limits of what is inflated


@pytest.mark.parametrize(
    "size", [0, 1, 100, STEP - 1, STEP, STEP + 1, 2 * STEP, 700_001]
)
@pytest.mark.parametrize("data", [bytes, json_like], ids=["zeros", "json"])
def test_limit_is_exact(backend, size, data):
    message = data(size)
    payload = squeeze(message)[:-4] or b"\x00"
    assert make(backend).decode(payload, size) == message
    assert make(backend).decode(payload, size + 1) == message
    assert make(backend).decode(payload, None) == message
    for less in (1, 2):
        if size >= less:
            with pytest.raises(PayloadTooBig) as caught:
                make(backend).decode(payload, size - less)
            assert caught.value.code == 1009
            assert caught.value.max_size == size - less


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_limit_is_exact_over_fragments(backend, step):
    message = json_like(3000)
    payload = squeeze(message)[:-4]
    pieces = [payload[n : n + step] for n in range(0, len(payload), step)]

    def read(limit: int) -> bytes:
        deflate = make(backend)
        out = b""
        for number, piece in enumerate(pieces):
            out += deflate.decode(piece, limit - len(out), number == len(pieces) - 1)
        return out

    assert read(3000) == message
    with pytest.raises(PayloadTooBig):
        read(2999)


def test_bomb_is_cut_at_the_limit(backend):
    bomb = squeeze(bytes(64 << 20))[:-4]
    deflate = make(backend)
    held = 0
    with pytest.raises(PayloadTooBig):
        for piece in deflate.steps(bomb, 1 << 20):
            held += len(piece)
    assert held <= 1 << 20


def test_steps_are_bounded(backend):
    data = bytes(3 << 20) + json_like(100)
    payload = squeeze(data)[:-4]
    pieces = list(make(backend).steps(payload, None))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= STEP
    assert len(pieces) >= 12


def test_what_takes_one_step_is_there_at_once(backend):
    deflate = make(backend)
    for size in (0, 1, STEP - 1):
        data = bytes(size)
        assert deflate.begin(squeeze(data, zlib.Z_FULL_FLUSH)[:-4]) == data
    steps = deflate.begin(squeeze(bytes(STEP + 1))[:-4])
    assert not isinstance(steps, bytes)
    assert [len(piece) for piece in steps] == [STEP, 1]


def test_blocks_of_nothing_are_cut_into_steps(backend):
    payload = bytes.fromhex("000000ffff") * (5 * SLICE // 5)
    steps = make(backend).begin(payload + b"\x00", 1)
    assert list(steps) == [b""] * 6


def test_long_incompressible_message(backend):
    data = random.Random(1).randbytes(5 * SLICE + 7)
    payload = make(backend).encode(data)
    assert make(backend).decode(payload, len(data)) == data
    with pytest.raises(PayloadTooBig):
        make(backend).decode(payload, len(data) - 1)


@pytest.mark.parametrize("size", [SLICE - 4, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE])
def test_payload_around_a_slice(backend, size):
    # A stored block: 5 octets of header, and an empty one at its end.
    length = size - 6 - 5 * (size > 65535)
    data = random.Random(2).randbytes(length)
    payload = squeeze_stored(data)
    for piece in (data, payload):
        assert piece
    assert make(backend).decode(payload, len(data)) == data


def squeeze_stored(data: bytes) -> bytes:
    out = b""
    for start in range(0, len(data), 65535):
        block = data[start : start + 65535]
        size = len(block)
        out += b"\x00" + size.to_bytes(2, "little")
        out += (size ^ 0xFFFF).to_bytes(2, "little") + block
    return out + b"\x00"


# D-4: broken data


@pytest.mark.parametrize(
    "payload",
    [
        "ff",
        "07",  # reserved block type
        "000500ffff48656c6c6f00",  # length and its complement differ
        "f200110000",  # a match before the first octet
        "f348cdc9c907ffffff",  # garbage behind a final block
        "f348cdc9c9070007",
    ],
)
@pytest.mark.parametrize("no_takeover", [False, True])
def test_broken_data(backend, payload, no_takeover):
    deflate = make(backend, remote=(no_takeover, 15))
    assert deflate.decode(bytes.fromhex("00")) == b""
    with pytest.raises(InvalidPayload) as caught:
        deflate.decode(bytes.fromhex(payload) + b"\xff" * 8)
    assert caught.value.code == 1007
    # Nothing that follows can be trusted.
    with pytest.raises(ProtocolError) as again:
        deflate.decode(bytes.fromhex("f248cdc9c90700"))
    assert again.value.reason_code == "broken_deflate_context"
    assert deflate._decoder is None


def test_limit_poisons_the_context(backend):
    deflate = make(backend)
    with pytest.raises(PayloadTooBig):
        deflate.decode(squeeze(b"hello")[:-4], 4)
    with pytest.raises(ProtocolError):
        deflate.decode(squeeze(b"hello")[:-4])


def test_abandoned_steps_poison_the_context(backend):  # D-5
    deflate = make(backend)
    steps = deflate.steps(squeeze(bytes(1 << 20))[:-4])
    next(steps)
    steps.close()
    with pytest.raises(ProtocolError):
        deflate.decode(squeeze(b"hello")[:-4])


@settings(deadline=None)
@given(payload=st.binary(max_size=200), name=st.sampled_from(list(BACKENDS)))
def test_any_octets_inflate_or_fail_cleanly(payload, name):
    if name != "zlib":
        pytest.importorskip(BACKENDS[name])
    for no_takeover in (False, True):
        deflate = make(name, remote=(no_takeover, 9))
        with suppress(InvalidPayload, PayloadTooBig):
            assert len(deflate.decode(payload, 500)) <= 500


def test_message_of_many_final_blocks(backend):
    final = squeeze(b"ab", zlib.Z_FINISH)
    assert make(backend).decode(final * 20, 40) == b"ab" * 20
    deflate = make(backend)
    assert deflate.decode(final * 60) == deflate.decode(final * 60)  # counted anew
    with pytest.raises(InvalidPayload):
        make(backend).decode(final * 1000)
    with pytest.raises(InvalidPayload):
        make(backend).decode(b"\x03\x00" * 500_000)


def test_final_block_at_the_end_of_a_fragment(backend):
    final = squeeze(b"abc", zlib.Z_FINISH)
    deflate = make(backend)
    assert deflate.decode(final, None, False) == b"abc"
    assert deflate.decode(squeeze(b"def")[:-4], None, True) == b"def"
    assert deflate.decode(squeeze(b"ghi")[:-4]) == b"ghi"


def test_encoder_that_failed_starts_afresh():
    deflate = make()
    message = json_like(500)
    deflate.encode(message)
    with pytest.raises(TypeError):
        deflate.encode("text")  # type: ignore[arg-type]
    payload = deflate.encode(message)
    assert make().decode(payload) == message  # it needs nothing of what came before


# D-2: memory


def test_contexts_are_lazy_and_freed():
    deflate = make()
    assert (deflate._encoder, deflate._decoder) == (None, None)
    payload = deflate.encode(b"hello" * 20)
    assert deflate._encoder is not None
    assert deflate._decoder is None
    receiver = make()
    receiver.decode(payload)
    kept = receiver._decoder
    assert kept is not None
    for each in (deflate, receiver):
        each.rest()
    assert deflate._encoder is not None  # it was used
    for each in (deflate, receiver):
        each.rest()
    assert deflate._encoder is None
    assert receiver._decoder is kept  # the peer may still refer to it
    assert receiver.decode(deflate.encode(b"hello" * 20)) == b"hello" * 20


def test_d2_what_an_idle_connection_holds():
    """At most 60 KiB with the windows that a server asks for, and 16 when it rests."""
    options = DeflateOptions()
    parameters = DeflateParameters(False, False, 12, 12)
    payload = Deflate(parameters, options).encode(b"hello" * 20)
    some = [Deflate(parameters, options) for _ in range(50)]
    tracemalloc.start()
    try:
        for deflate in some:
            deflate.encode(b"hello" * 20)
            deflate.decode(payload)
        used = tracemalloc.get_traced_memory()[0] / 50
        for _ in range(2):
            for deflate in some:
                deflate.rest()
        idle = tracemalloc.get_traced_memory()[0] / 50
    finally:
        tracemalloc.stop()
    assert 20 << 10 < used < 60 << 10, f"{used / 1024:.0f} KiB in use"
    assert idle < 16 << 10, f"{idle / 1024:.0f} KiB idle"


def test_nothing_is_held_between_messages_without_takeover():
    deflate = make(local=(True, 15), remote=(True, 15))
    assert deflate.decode(deflate.encode(b"hello" * 20)) == b"hello" * 20
    assert (deflate._encoder, deflate._decoder) == (None, None)
    # Nor at the end of a message that was cut into fragments.
    first, last = deflate.encode(b"a" * 99, False), deflate.encode(b"b" * 99)
    assert deflate.decode(first, None, False) == b"a" * 99
    assert deflate._decoder is not None
    assert deflate.decode(last) == b"b" * 99
    assert (deflate._encoder, deflate._decoder) == (None, None)


# Options


def test_threshold():
    deflate = make(threshold=100)
    assert not deflate.wants(99)
    assert deflate.wants(100)
    assert make(threshold=0).wants(0)
    assert not make().wants(63)
    assert make().wants(64)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"level": 10}, "level must be between 0 and 9"),
        ({"level": -1}, "level must be between 0 and 9"),
        ({"mem_level": 0}, "mem_level"),
        ({"mem_level": 10}, "mem_level"),
        ({"server_max_window_bits": 7}, "server_max_window_bits must be between 8"),
        ({"server_max_window_bits": 16}, "server_max_window_bits must be between 8"),
        ({"client_max_window_bits": 7}, "client_max_window_bits must be between 8"),
        ({"client_max_window_bits": 16}, "client_max_window_bits must be between 8"),
        ({"threshold": -1}, "threshold"),
        ({"backend": "lz4"}, "unknown backend 'lz4'; there are zlib, zlib-ng, isal"),
    ],
)
def test_options_out_of_range(options, text):
    with pytest.raises(ValueError, match=text):
        DeflateOptions(**options)


def test_isal_has_four_levels():
    pytest.importorskip(BACKENDS["isal"])
    DeflateOptions(backend="isal", level=3)
    with pytest.raises(ValueError, match="between 0 and 3"):
        DeflateOptions(backend="isal", level=4)


def test_backend_that_is_missing(monkeypatch):
    monkeypatch.setitem(BACKENDS, "isal", "isal.no_such_module")
    with pytest.raises(ImportError, match="needs the package 'isal'"):
        DeflateOptions(backend="isal")


def test_backend_of_ones_own():
    class Mine:
        error = zlib.error
        made = 0

        def compressobj(self, *args):
            self.made += 1
            return zlib.compressobj(*args)

        def decompressobj(self, *args):
            self.made += 1
            return zlib.decompressobj(*args)

    mine = Mine()
    deflate = make(mine)  # type: ignore[arg-type]
    assert deflate.decode(deflate.encode(b"hello")) == b"hello"
    assert mine.made == 2
