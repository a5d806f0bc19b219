"""The frame protocol for wsproto does what wsproto's own does, to the word."""

from __future__ import annotations

import importlib
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import wsfast
from tests.accelerate.pieces import BUFFERS, CUTS, KEYS, TEXTS, cut
from wsfast import engine
from wsfast.accelerate import undo

pytest.importorskip("wsproto")
import wsproto
from wsproto import connection, extensions, frame_protocol

THEIRS = frame_protocol.FrameProtocol
MASKER = frame_protocol.XorMaskerSimple


@pytest.fixture(scope="module", params=["as built", "from its source"])
def ours(request):
    """Return our class, compiled where that is built, and from its source."""
    if request.param == "as built":
        return importlib.import_module("wsfast.accelerate._wsproto").FrameProtocol
    source = Path(wsfast.__file__).parent / "accelerate" / "_wsproto.py"
    name = "wsfast.accelerate._wsproto_source"
    spec = spec_from_file_location(name, source)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert name not in sys.modules
    return module.FrameProtocol


def deflate(**options):
    """Return wsproto's extension as the end of a handshake leaves it."""
    made = extensions.PerMessageDeflate(**options)
    made.finalize("permessage-deflate")
    return made


class Recording(extensions.Extension):
    """An extension that takes RSV2, turns octets over, and says who called it when."""

    name = "recording"

    def __init__(self):
        self.calls = []

    def enabled(self):
        return True

    def offer(self):
        return True

    def frame_inbound_header(self, proto, opcode, rsv, length):
        self.calls.append(("header", proto.client, opcode, rsv, length))
        if length == 66:
            return frame_protocol.CloseReason.POLICY_VIOLATION
        return frame_protocol.RsvBits(False, True, False)

    def frame_inbound_payload_data(self, proto, data):
        self.calls.append(("data", type(data), data))
        if data.startswith(b"!"):
            return frame_protocol.CloseReason.MESSAGE_TOO_BIG
        return bytes(data).swapcase()

    def frame_inbound_complete(self, proto, fin):
        self.calls.append(("complete", fin))
        return b"+" if fin else None

    def frame_outbound(self, proto, opcode, rsv, data, fin):
        return frame_protocol.RsvBits(rsv[0], True, rsv[2]), data.swapcase()


class Disabled(Recording):
    """An extension that was not negotiated."""

    def enabled(self):
        return False


STACKS = {
    "none": list,
    "disabled": lambda: [Disabled()],
    "deflate": lambda: [deflate()],
    "deflate, no takeover": lambda: [
        deflate(client_no_context_takeover=True, server_no_context_takeover=True)
    ],
    "recording": lambda: [Recording()],
    "two": lambda: [Recording(), deflate()],
}


def received(make, client, stack, pieces, kind=bytes):
    """Return all frames of all pieces, what ended them, and what was called."""
    used = STACKS[stack]()
    protocol = make(client, used)
    seen = []
    for piece in pieces:
        protocol.receive_bytes(kind(piece))
        try:
            for frame in protocol.received_frames():
                assert type(frame) is frame_protocol.Frame
                seen.append(
                    (frame, [type(part) for part in frame], type(frame.payload))
                )
                if frame.opcode is frame_protocol.Opcode.CLOSE:
                    seen.append(type(frame.payload[0]))
        except frame_protocol.ParseFailed as error:
            seen.append((str(error), error.code, type(error.code)))
        except Exception as error:
            seen.append((type(error), str(error)))
        seen.append("end of piece")
    return (
        seen,
        [getattr(each, "calls", None) for each in used],
        protocol.extensions == ([each for each in used if each.enabled()]),
    )


@st.composite
def wires(draw):
    """Return octets that are nearly the frames of a peer, and which role reads them."""
    client = draw(st.booleans())
    frames = []
    for _ in range(draw(st.integers(1, 6))):
        opcode = draw(st.sampled_from([0, 0, 1, 1, 1, 2, 2, 8, 9, 10, 3, 11]))
        fin = opcode > 7 or draw(st.booleans())
        rsv = draw(st.sampled_from([0, 0, 0, 0, 0x40, 0x20, 0x60, 0x10]))
        payload = draw(TEXTS)
        if draw(st.integers(0, 9)) == 0:
            payload *= draw(st.sampled_from([4, 8, 2000]))
        if opcode == 8 and draw(st.booleans()):
            code = draw(
                st.sampled_from([1000, 1001, 1005, 1006, 1016, 3000, 999, 5000])
            )
            payload = code.to_bytes(2, "big") + payload[:120]
        masked = client if draw(st.integers(0, 19)) == 0 else not client
        key = draw(KEYS) if masked else None
        frames.append(frame(fin << 7 | rsv | opcode, payload, key))
    data = b"".join(frames)
    if draw(st.integers(0, 3)) == 0 and data:
        place = draw(st.integers(0, len(data) - 1))
        data = (
            data[:place] + draw(st.binary(min_size=1, max_size=2)) + data[place + 1 :]
        )
    return client, data


def frame(first, payload, key):
    """Return a frame whatever its header says, its length in a form of one's choice."""
    mask_bit = 0 if key is None else 0x80
    length = len(payload)
    if length < 126:
        header = bytes([first, mask_bit | length])
    elif length < 65536:
        header = bytes([first, mask_bit | 126]) + length.to_bytes(2, "big")
    else:
        header = bytes([first, mask_bit | 127]) + length.to_bytes(8, "big")
    if key is None:
        return header + payload
    return header + key + engine.mask(payload, key)


STACK = st.sampled_from(sorted(STACKS))


@given(wire=wires(), stack=STACK, cuts=CUTS, kind=st.sampled_from(BUFFERS))
@example((False, bytes.fromhex("81fe007d00000000")), "none", [], bytes)
@example((True, bytes.fromhex("817f000000000000ffff")), "none", [3], bytes)
@example((True, bytes.fromhex("827f8000000000000001")), "none", [], bytes)
@example((True, bytes.fromhex("827f7fffffffffffffff616263")), "none", [11], bytes)
@example((True, bytes.fromhex("8102c328")), "none", [3], bytes)
@example((True, bytes.fromhex("0101c38001a98100")), "none", [], bytes)
@example((True, bytes.fromhex("8801ff")), "none", [], bytes)
def test_frames_received(ours, wire, stack, cuts, kind):
    client, data = wire
    pieces = cut(data, cuts)
    assert received(ours, client, stack, pieces, kind) == received(
        THEIRS, client, stack, pieces, kind
    )


@given(wire=wires(), stack=STACK)
def test_frames_received_octet_by_octet(ours, wire, stack):
    client, data = wire
    pieces = [data[i : i + 1] for i in range(min(len(data), 400))]
    assert received(ours, client, stack, pieces) == received(
        THEIRS, client, stack, pieces
    )


@given(wire=wires(), cuts=CUTS, stops=st.lists(st.integers(0, 3), max_size=6))
def test_frames_are_read_when_they_are_asked_for(ours, wire, cuts, stops):
    """Whoever stops in the middle finds the rest later."""
    client, data = wire
    results = []
    for make in (ours, THEIRS):
        protocol, seen = make(client, []), []
        for number, piece in enumerate(cut(data, cuts)):
            protocol.receive_bytes(piece)
            wanted = stops[number] if number < len(stops) else 99
            frames = protocol.received_frames()
            try:
                while wanted > 0:
                    seen.append(next(frames))
                    wanted -= 1
            except StopIteration:
                seen.append("stopped")
            except frame_protocol.ParseFailed as error:
                seen.append((str(error), error.code))
        results.append(seen)
    assert results[0] == results[1]


def sent(make, client, stack, acts):
    """Return what is sent, unmasked, or why it is not."""
    protocol = make(client, STACKS[stack]())
    seen = []
    for name, arguments in acts:
        try:
            made = getattr(protocol, name)(*arguments)
        except Exception as error:
            seen.append((type(error), str(error)))
            continue
        assert type(made) is bytearray
        seen.append(bare(bytes(made)) if client else made)
    return seen


def bare(made):
    """Return a frame with its masking-key and its masking taken off."""
    assert made[1] & 0x80
    size = {126: 4, 127: 10}.get(made[1] & 0x7F, 2)
    key = made[size : size + 4]
    return made[:size] + engine.mask(made[size + 4 :], key)


PAYLOADS = st.one_of(
    st.text(st.characters(codec=None, exclude_categories=[]), max_size=60),
    st.binary(max_size=140),
    st.binary(max_size=20).map(bytearray),
    st.binary(max_size=20).map(memoryview),
    st.sampled_from([None, 7, bytes(125), bytes(126), bytes(65535), bytes(65536)]),
    st.just(memoryview(bytes(range(20)))[::3]),
)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("send_data"), st.tuples(PAYLOADS, st.booleans())),
        st.tuples(st.sampled_from(["ping", "pong"]), st.tuples(PAYLOADS)),
        st.tuples(
            st.just("close"),
            st.tuples(
                st.sampled_from([None, 1000, 1005, 3000, 70000]),
                st.sampled_from([None, "", "bye", "é" * 80]),
            ),
        ),
    ),
    max_size=6,
)


@given(acts=ACTS, client=st.booleans(), stack=STACK)
def test_frames_sent(ours, acts, client, stack):
    assert sent(ours, client, stack, acts) == sent(THEIRS, client, stack, acts)


def test_masking_keys_differ(ours):
    protocol = ours(True, [])
    keys = {bytes(protocol.ping(b"x")[2:6]) for _ in range(64)}
    assert len(keys) > 60


@pytest.mark.parametrize("wrong", ["text", None, 7])
def test_what_is_received_must_be_octets(ours, wrong):
    errors = []
    for make in (ours, THEIRS):
        with pytest.raises(TypeError) as caught:
            make(True, []).receive_bytes(wrong)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def test_octets_that_nobody_reads_are_kept_cheaply(ours):
    protocol = ours(True, [])
    for _ in range(20_000):
        protocol.receive_bytes(b"\x82\x01x")
    assert sum(1 for _ in protocol.received_frames()) == 20_000


def test_subclasses_are_called(ours):
    class Derived(ours):
        def _process_close(self, frame):
            return super()._process_close(frame)._replace(payload="seen")

        def _serialize_frame(self, opcode, payload=b"", fin=True):
            return bytearray(b"made")

    protocol = Derived(True, [])
    protocol.receive_bytes(b"\x88\x00\x81\x00")
    assert [frame.payload for frame in protocol.received_frames()] == ["seen"]
    assert protocol.send_data(b"x") == protocol.ping() == b"made"


def conversation():
    """Return the events of a connection that ours and theirs both lead to the end."""
    client = connection.Connection(connection.ConnectionType.CLIENT)
    server = connection.Connection(connection.ConnectionType.SERVER)
    events = []
    for event in (
        wsproto.events.TextMessage(data="grüß", message_finished=False),
        wsproto.events.Ping(payload=b"in between"),
        wsproto.events.TextMessage(data=" dich"),
        wsproto.events.BytesMessage(data=bytes(range(256)) * 300),
        wsproto.events.CloseConnection(code=3001, reason="done"),
    ):
        data = client.send(event)
        assert type(data) is bytes
        for piece in cut(data, [5, 40_000]):
            server.receive_data(piece)
            events += server.events()
    client.receive_data(server.send(events[-1].response()))
    return events, list(client.events()), client.state, server.state


def test_connections_use_it_until_it_is_undone():
    plain = conversation()
    report = wsfast.accelerate("wsproto")
    assert report["wsproto"].installed == wsproto.__version__
    assert type(connection.Connection(connection.CLIENT)._proto) is not THEIRS
    assert issubclass(connection.FrameProtocol, THEIRS)
    assert conversation() == plain
    undo("wsproto")
    assert connection.FrameProtocol is frame_protocol.FrameProtocol is THEIRS
    assert frame_protocol.XorMaskerSimple is MASKER


@given(key=KEYS, data=st.binary(max_size=300), cuts=CUTS)
def test_masker(primitives, key, data, cuts):
    ours, theirs = primitives.ByteArrayMasker(bytearray(key)), MASKER(bytearray(key))
    for piece in cut(bytearray(data), cuts):
        assert ours.process(piece) == theirs.process(piece)
        assert type(ours.process(b"")) is bytearray
