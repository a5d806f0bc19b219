"""What other nodes say over Redis is read, and what is none of it is refused."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from wsfast.socketio import redis_wire as wire
from wsfast.socketio.msgpack import pack
from wsfast.socketio.packet import EVENT, MAX_NESTING, Packet, PacketError
from wsfast.socketio.targets import Target

EVENT_FIELDS = {"type": EVENT, "data": ["e", 1], "nsp": "/"}


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def test_an_event_to_many_there_and_back():
    target = Target(frozenset({"b", "a"}), frozenset({"c"}), True, False, timeout=1.5)
    packet = Packet(EVENT, "/", ["e", b"x", {"y": [None, True, 2.5]}])
    octets = wire.write_event("me", packet, target)
    assert wire.read_event(octets, "/", "me") is None  # our own
    read, for_whom = wire.read_event(octets, "/", "you")
    assert read.data == packet.data
    assert (for_whom.rooms, for_whom.except_) == (target.rooms, target.except_)
    assert (for_whom.volatile, for_whom.compress) == (True, False)
    assert (for_whom.timeout, for_whom.local) == (1.5, True)
    assert wire.read_event(octets, "/other", "you") is None


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("text", "array of three"),
        (["you", {}], "array of three"),
        (["you", 1, {}], "packet and options are maps"),
        (["you", {}, []], "packet and options are maps"),
        (["you", {"type": 0}, {}], "not an event"),
        (["you", {"type": 2, "data": nested(MAX_NESTING + 1)}, {}], "levels"),
        (["you", EVENT_FIELDS, {"flags": 1}], "flags are a map"),
        (["you", EVENT_FIELDS, {"rooms": "a"}], "array of names"),
        (["you", EVENT_FIELDS, {"except": [None]}], "array of names"),
        (["you", {"type": 2, "data": ["e", {1: 2}]}, {}], "map key"),
    ],
)
def test_what_is_no_event_to_many(message, error):
    with pytest.raises(PacketError, match=error):
        wire.read_event(pack(message), "/", "me")


def test_options_that_are_none():
    for options in (None, [], "x"):
        with pytest.raises(PacketError, match="options are a map"):
            wire.target_of(options)


@pytest.mark.parametrize(
    ("flags", "timeout"),
    [
        ({}, None),
        ({"timeout": 1500}, 1.5),
        ({"timeout": -1}, None),
        ({"timeout": "soon"}, None),
        ({"timeout": 1e300}, wire.MAX_TIMEOUT_S),
    ],
)
def test_time_limits_of_others(flags, timeout):
    assert wire.target_of({"flags": flags}).timeout == timeout


def test_rooms_that_are_numbers():
    assert wire.names_of(["a", 1, 2.5]) == {"a", "1", "2.5"}
    assert wire.names_of(None) == frozenset()


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"{", "invalid JSON"),
        (b"{\xff}", "invalid JSON"),
        (
            b'{"a":' + b"[" * (MAX_NESTING + 3) + b"]" * (MAX_NESTING + 3) + b"}",
            "levels",
        ),
        (pack({"a": nested(MAX_NESTING + 3)}), "levels"),
        (pack([1]), "a message is a map"),
        (b"\xc1", "invalid msgpack"),
    ],
)
def test_what_is_no_message(octets, error):
    with pytest.raises(PacketError, match=error):
        wire.read_message(octets)


def test_messages_in_both_forms():
    fields = {"uid": "x", "requestId": "1", "type": 5}
    assert wire.read_message(wire.write_json(fields)) == fields
    assert wire.read_message(pack(fields)) == fields


def test_values_as_json_has_them():
    moment = datetime(2024, 5, 6, 7, 8, 9, 120_000, timezone.utc)
    assert wire.for_json([moment, float("inf"), 1.5, {"a": b"x"}, None]) == [
        "2024-05-06T07:08:09.120Z",
        None,
        1.5,
        {"a": b"x"},
        None,
    ]
    with pytest.raises(PacketError, match="a value of type set"):
        wire.for_json(set())


@pytest.mark.parametrize("value", [-1, 1.0, True, "1", None])
def test_what_does_not_count(value):
    with pytest.raises(PacketError, match="a number was due"):
        wire.number_of(value)
    assert wire.number_of(0) == 0


def test_clients_of_other_nodes():
    told = [{"id": "a", "rooms": ["r", 1]}, {"id": "b", "data": {"x": 1}}]
    assert wire.clients_of(told) == [
        {"id": "a", "rooms": {"r", "1"}, "data": {}, "handshake": {}},
        {"id": "b", "rooms": set(), "data": {"x": 1}, "handshake": {}},
    ]


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (None, "clients are an array of maps"),
        ([1], "clients are an array of maps"),
        ([{}], "where a text was due"),
        ([{"id": "a", "rooms": 1}], "array of names"),
        ([{"id": "a", "data": [1]}], "data and handshake are maps"),
        ([{"id": "a", "handshake": "x"}], "data and handshake are maps"),
    ],
)
def test_what_are_no_clients(told, error):
    with pytest.raises(PacketError, match=error):
        wire.clients_of(told)
