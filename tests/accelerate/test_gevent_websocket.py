"""gevent-websocket, accelerated, does what it does by itself."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wsfast
from tests.accelerate.pieces import BUFFERS, KEYS, TEXTS, outcome
from wsfast import engine
from wsfast.accelerate import undo

pytest.importorskip("geventwebsocket")
from geventwebsocket import utf8validator, websocket

THEIRS = websocket.Header.mask_payload


@pytest.fixture(scope="module")
def ours():
    """Return the method that takes the place of theirs."""
    wsfast.accelerate("gevent-websocket")
    method = websocket.Header.mask_payload
    assert websocket.Header.unmask_payload is method
    undo("gevent-websocket")
    return method


def header(key, length):
    """Return a header with a masking-key."""
    made = websocket.Header(fin=True, opcode=2, length=length)
    made.mask = key
    return made


@given(key=KEYS, data=st.binary(max_size=300), kind=st.sampled_from(BUFFERS))
def test_mask(ours, key, data, kind):
    head = header(key, len(data))
    payload = kind(data)
    result, expected = ours(head, payload), THEIRS(head, kind(data))
    assert result == expected
    assert type(result) is type(expected) is bytearray
    assert payload == data


@given(
    key=st.binary(max_size=6), data=st.binary(max_size=12), length=st.integers(0, 14)
)
def test_what_no_peer_sends(ours, key, data, length):
    head = header(key, length)
    assert outcome(ours, head, data) == outcome(THEIRS, head, data)


def test_names_are_replaced_and_given_back():
    before = websocket.Utf8Validator
    report = wsfast.accelerate("gevent-websocket")
    assert len(report["gevent-websocket"].replaced) == 4
    assert websocket.Utf8Validator is utf8validator.Utf8Validator is not before
    undo("gevent-websocket")
    assert websocket.Utf8Validator is utf8validator.Utf8Validator is before
    assert websocket.Header.mask_payload is THEIRS


class Stream:
    """What a WebSocket of theirs reads from and writes to."""

    def __init__(self, data):
        self.read = io.BytesIO(data).read
        self.written = []
        self.write = self.written.append


def received(data):
    """Return what their WebSocket makes of octets, and what it answers."""
    stream = Stream(data)
    ws = websocket.WebSocket({}, stream, None)
    messages = []
    while (message := outcome(ws.receive)) is not None:
        messages.append(message)
        if isinstance(message, type) or len(messages) > 20:
            break
    return messages, stream.written


MESSAGES = st.lists(
    st.tuples(st.sampled_from([1, 2, 8, 9]), TEXTS, KEYS, st.booleans()), max_size=5
)


@given(messages=MESSAGES)
def test_conversations(messages):
    data = b"".join(
        engine.encode_frame(opcode, payload, mask=key, fin=fin or opcode > 7)
        for opcode, payload, key, fin in messages
    )
    plain = received(data)
    wsfast.accelerate("gevent-websocket")
    try:
        assert received(data) == plain
    finally:
        undo("gevent-websocket")
