"""websockets does with our parts what it does with its own."""

from __future__ import annotations

import array
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.accelerate.peers import named, outcome, plugged
from wsfast import engine

pytest.importorskip("websockets", minversion="17")  # Python 3.10 has 16
frames = pytest.importorskip("websockets.frames")
framing = pytest.importorskip("websockets.legacy.framing")

from websockets import protocol, streams  # noqa: E402
from websockets.extensions.permessage_deflate import PerMessageDeflate  # noqa: E402
from websockets.sync import client as sync_client  # noqa: E402
from websockets.sync import server as sync_server  # noqa: E402

KEY = bytes.fromhex("37fa213d")
OPCODES = [0, 1, 2, 8, 9, 10]
SIDES = {"server": protocol.SERVER, "client": protocol.CLIENT}


def deflate():
    return PerMessageDeflate(False, False, 12, 12)


def receive(side, data, cuts, eof, max_size, extensions):
    """Return everything that a connection shows of the octets it is given."""
    connection = protocol.Protocol(SIDES[side], max_size=max_size)
    connection.extensions = [deflate()] if extensions else []
    seen = []
    for piece in pieces(data, cuts):
        seen.append(outcome(connection.receive_data, piece))
        seen.append(events_of(connection))
    if eof:
        seen.append(outcome(connection.receive_eof))
        seen.append(events_of(connection))
    return seen


def events_of(connection):
    """Return events with the types of their payloads, output, state, and errors."""
    events = [(event, type(event.data)) for event in connection.events_received()]
    exc = connection.parser_exc
    return (
        events,
        connection.data_to_send(),
        connection.state,
        (connection.close_rcvd, connection.close_sent),
        (type(exc), str(exc)),
        connection.close_expected(),
    )


def pieces(data, cuts):
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@st.composite
def wire(draw, masked):
    """Return octets of frames, most of them in order."""
    made = []
    for _ in range(draw(st.integers(0, 4))):
        opcode = draw(st.sampled_from(OPCODES))
        size = draw(st.sampled_from([0, 1, 2, 5, 125, 126, 200]))
        payload = draw(st.binary(min_size=size, max_size=size))
        if opcode >= 8:
            payload = payload[:125]
        fin = opcode >= 8 or draw(st.booleans())
        rsv1 = opcode in (1, 2) and draw(st.integers(0, 5)) == 0
        mask = KEY if masked != (draw(st.integers(0, 20)) == 0) else False
        made.append(engine.encode_frame(opcode, payload, fin=fin, rsv1=rsv1, mask=mask))
    octets = bytearray(b"".join(made))
    if octets and draw(st.integers(0, 2)) == 0:
        octets[draw(st.integers(0, len(octets) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(octets)


@pytest.mark.parametrize("side", SIDES)
@given(data=st.data())
def test_any_octets_in_any_pieces(side, data):
    octets = data.draw(wire(side == "server"))
    given_as = {
        "cuts": data.draw(st.lists(st.integers(0, 900), max_size=6)),
        "eof": data.draw(st.booleans()),
        "max_size": data.draw(st.sampled_from([None, 0, 100, 126, (200, 126)])),
        "extensions": data.draw(st.booleans()),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames.secrets, "token_bytes", lambda n: KEY)
        expected = receive(side, octets, **given_as)
        with plugged("websockets"):
            assert receive(side, octets, **given_as) == expected


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 1 << 20])
def test_every_form_of_a_length(side, size):
    mask = KEY if side == "server" else False
    octets = engine.encode_frame(2, bytes(size), mask=mask)
    for cut in {1, 2, 3, 9, 10, 13, 14, len(octets) - 1} & set(range(len(octets))):
        given_as = ([cut], True, None, False)
        expected = receive(side, octets, *given_as)
        with plugged("websockets"):
            assert receive(side, octets, *given_as) == expected


DATA = [
    b"",
    b"abcdefg",
    bytearray(b"abcdefg"),
    memoryview(b"abcdefg"),
    memoryview(b"abcdefgh")[::2],
    memoryview(array.array("I", [1, 2])),
    array.array("I", [1, 2]),
    "text",
    None,
    7,
]
MASKS = [KEY, bytearray(KEY), memoryview(KEY), b"abc", b"abcde", b"", "abcd", None]


@pytest.mark.parametrize("data", DATA, ids=named)
@pytest.mark.parametrize("mask", MASKS, ids=named)
def test_mask_of_any_type(data, mask):
    expected = outcome(frames.apply_mask, data, mask)
    with plugged("websockets"):
        assert outcome(frames.apply_mask, data, mask) == expected
        assert outcome(frames.apply_mask, data=data, mask=mask) == expected
        assert framing.apply_mask is frames.apply_mask


@given(data=st.binary(max_size=300), key=st.binary(min_size=4, max_size=4))
def test_mask_of_any_octets(data, key):
    expected = frames.apply_mask(data, key)
    with plugged("websockets"):
        assert frames.apply_mask(data, key) == expected
        assert frames.apply_mask(bytearray(data), bytearray(key)) == expected


@given(
    opcode=st.sampled_from(OPCODES),
    data=st.binary(max_size=200),
    as_type=st.sampled_from([bytes, bytearray, memoryview]),
    bits=st.lists(st.booleans(), min_size=4, max_size=4),
    mask=st.booleans(),
    extended=st.booleans(),
)
def test_serializing_any_frame(opcode, data, as_type, bits, mask, extended):
    def serialize():
        frame = frames.Frame(frames.Opcode(opcode), as_type(data), *bits)
        extensions = [deflate()] if extended else None
        return outcome(frame.serialize, mask=mask, extensions=extensions)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames.secrets, "token_bytes", lambda n: KEY)
        expected = serialize()
        with plugged("websockets"):
            assert serialize() == expected


def test_another_reader_is_read_as_before():
    reader = streams.StreamReader()
    reader.feed_data(engine.encode_frame(1, b"hello", mask=KEY))

    def read_exact(n):
        return (yield from reader.read_exact(n))

    with plugged("websockets"):
        parsing = frames.Frame.parse(read_exact, mask=True)
        with pytest.raises(StopIteration) as done:
            next(parsing)
    assert done.value.value == frames.Frame(frames.TEXT, b"hello")


def test_between_a_client_and_a_server():
    with plugged("websockets"):

        def echo(ws):
            for message in ws:
                ws.send(message)

        with sync_server.serve(echo, "127.0.0.1", 0) as server:
            import threading

            running = threading.Thread(target=server.serve_forever)
            running.start()
            port = server.socket.getsockname()[1]
            with sync_client.connect(f"ws://127.0.0.1:{port}") as ws:
                for message in ("text", "é" * 40_000, b"", bytes(300_000)):
                    ws.send(message)
                    assert ws.recv(timeout=30) == message
            server.shutdown()
            running.join()
