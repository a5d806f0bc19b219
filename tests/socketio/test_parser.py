"""Parsers: packets to messages and back, and what is refused."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from types import SimpleNamespace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.socketio.test_codec import WITH_OCTETS
from wsfast.socketio.msgpack import MsgpackParser
from wsfast.socketio.packet import (
    ACK,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    MAX_ID,
    MAX_NESTING,
    RESERVED_EVENTS,
    Packet,
    PacketError,
)
from wsfast.socketio.parser import JSONParser, parser_of

PARSERS = {
    "json": JSONParser,
    "module": lambda: JSONParser(json),
    "own": lambda: JSONParser(SimpleNamespace(dumps=json.dumps, loads=json.loads)),
    "orjson": lambda: JSONParser("orjson"),
    "msgspec": lambda: JSONParser("msgspec"),
    "msgpack": MsgpackParser,
}


@pytest.fixture(params=PARSERS)
def parser(request):
    """Return each of the parsers."""
    return PARSERS[request.param]()


def through(parser, packet):
    """Return what a packet is on the other side."""
    decoder = parser.decoder()
    *first, last = [decoder.feed(message) for message in parser.encode(packet)]
    assert first == [None] * len(first)
    return last


@pytest.mark.parametrize(
    "packet",
    [
        Packet(CONNECT),
        Packet(CONNECT, "/a", {"token": "x"}),
        Packet(DISCONNECT, "/a"),
        Packet(CONNECT_ERROR, "/a", {"message": "no", "data": {"code": 1}}),
        Packet(EVENT, "/", ["e"]),
        Packet(EVENT, "/", ["e", "☃ \ud7ff é", 1.5, None, True, {}, []], 0),
        Packet(EVENT, "/é", ["e", b"\x00\xff", {"a": [b""]}], MAX_ID),
        Packet(ACK, "/", [], 7),
        Packet(ACK, "/", [b"x", "y"], 7),
    ],
)
def test_each_packet_on_each_parser(parser, packet):
    assert through(parser, packet) == packet


EVENTS = st.text(max_size=5).filter(lambda name: name not in RESERVED_EVENTS)


@given(
    event=EVENTS,
    args=st.lists(WITH_OCTETS, max_size=3),
    number=st.none() | st.integers(0, MAX_ID),
    namespace=st.sampled_from(["/", "/admin", "/☃"]),
)
def test_whatever_is_sent_arrives(event, args, number, namespace):
    packet = Packet(EVENT, namespace, [event, *args], number)
    parser = JSONParser(max_attachments=1000)
    assert through(parser, packet) == packet


@given(message=st.text(max_size=30) | st.text('0123456{}[]"/,-a:', max_size=30))
def test_l1_garbage_is_refused_or_a_packet(message):
    try:
        packet = JSONParser().decoder().feed(message)
    except PacketError:
        return
    assert packet is None or packet.check() is packet


@given(message=st.binary(max_size=40))
def test_l1_garbage_of_msgpack_is_refused_or_a_packet(message):
    try:
        packet = MsgpackParser().feed(message)
    except PacketError:
        return
    assert packet.check() is packet


def test_text_of_one_writer_is_that_of_javascript():
    """The bytes that JSON.stringify makes, but for what is not ASCII."""
    packet = Packet(EVENT, "/", ["e", {"a": [1, "ü"]}], 1)
    assert JSONParser().encode(packet) == ['21["e",{"a":[1,"\\u00fc"]}]']


def test_lone_surrogate_is_escaped():
    packet = Packet(EVENT, "/", ["e", "\ud800"])
    (text,) = JSONParser().encode(packet)
    assert text.isascii()
    assert through(JSONParser(), packet) == packet


BAD = [
    ("2", "payload"),
    ("2{}", "payload"),
    ("2[]", "payload"),
    ('2"e"', "payload"),
    ("2[null]", "event_name"),
    ("2[{}]", "event_name"),
    ("2[true]", "event_name"),
    ("2[1.5]", "event_name"),
    ('2["connect"]', "reserved_event"),
    ('2["disconnect"]', "reserved_event"),
    ('2["newListener"]', "reserved_event"),
    ('2["e"', "json"),
    ('2["e"]x', "json"),
    ('2["e",NaN]', "json"),
    ('2["e",Infinity]', "json"),
    ('2["e",' + "9" * 5000 + "]", "json"),
    ("2" + "[" * (MAX_NESTING + 1) + "]" * (MAX_NESTING + 1), "nesting"),
    ("2" + "[" * 500_000, "nesting"),
    ('0{"token":' + "[" * MAX_NESTING + "]" * MAX_NESTING + "}", "nesting"),
    ('4{"message":' + "[" * MAX_NESTING + "]" * MAX_NESTING + "}", "nesting"),
    ('2["e",' + '{"a":' * 200_000, "nesting"),
    ("3[]", "id"),
    ("31{}", "payload"),
    ("0[]", "payload"),
    ('0"x"', "payload"),
    ("1{}", "payload"),
    ("4", "payload"),
    ("4[]", "payload"),
    ('511-["e"]', "too_many_attachments"),
]


@pytest.mark.parametrize("json", [None, "orjson", "msgspec"])
@pytest.mark.parametrize(("text", "reason_code"), BAD)
def test_l1_bad_packets_are_refused(text, reason_code, json):
    with pytest.raises(PacketError) as caught:
        JSONParser(json).decoder().feed(text)
    assert caught.value.reason_code == reason_code


def test_number_of_an_event_is_its_name():
    """JavaScript takes it; here a name is a string."""
    assert JSONParser().decoder().feed("2[7,1]") == Packet(EVENT, "/", ["7", 1])


def test_l1_text_in_the_place_of_an_attachment():
    decoder = JSONParser().decoder()
    assert decoder.feed('51-["e",{"_placeholder":true,"num":0}]') is None
    with pytest.raises(PacketError, match="attachment was due"):
        decoder.feed('2["e"]')


def test_l1_attachment_of_nothing():
    with pytest.raises(PacketError, match="of nothing"):
        JSONParser().decoder().feed(b"x")


def test_l1_attachments_have_a_limit_of_their_own():
    decoder = JSONParser(max_attachments=2).decoder()
    assert decoder.feed('52-["e"]') is None
    with pytest.raises(PacketError, match="more than 2"):
        JSONParser(max_attachments=2).decoder().feed('53-["e"]')

    with pytest.raises(ValueError, match="max_attachments"):
        JSONParser(max_attachments=-1)


def test_l1_placeholder_out_of_range():
    decoder = JSONParser().decoder()
    assert decoder.feed('51-["e",{"_placeholder":true,"num":1}]') is None
    with pytest.raises(PacketError, match="illegal attachments"):
        decoder.feed(b"x")


def test_l1_name_of_an_event_may_not_be_an_attachment():
    decoder = JSONParser().decoder()
    with pytest.raises(PacketError, match="string"):
        decoder.feed('51-[{"_placeholder":true,"num":0}]')


def test_l1_depth_at_the_limit():
    text = "2" + '["e",' + "[" * (MAX_NESTING - 1) + "]" * (MAX_NESTING - 1) + "]"
    assert JSONParser().decoder().feed(text) is not None


def nested(levels):
    """Return lists within each other."""
    value: list = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([], "map"),
        ({}, "type"),
        ({"type": 5, "nsp": "/", "data": ["e"]}, "type"),
        ({"type": True, "nsp": "/", "data": ["e"]}, "type"),
        ({"type": 2, "nsp": None, "data": ["e"]}, "namespace"),
        ({"type": 2, "nsp": "/", "data": ["e"], "id": -1}, "id"),
        ({"type": 2, "nsp": "/", "data": ["e"], "id": MAX_ID + 1}, "id"),
        ({"type": 2, "nsp": "/", "data": ["e"], "id": 1.0}, "id"),
        ({"type": 2, "nsp": "/", "data": {}}, "array"),
        ({"type": 2, "nsp": "/", "data": ["connect"]}, "reserved"),
        ({"type": 2, "nsp": "/", "data": ["e", nested(MAX_NESTING)]}, "levels"),
        ({"type": 3, "nsp": "/", "data": [nested(MAX_NESTING)], "id": 1}, "levels"),
        ({"type": 0, "nsp": "/", "data": {"token": nested(MAX_NESTING)}}, "levels"),
        ({"type": 4, "nsp": "/", "data": {"a": nested(MAX_NESTING)}}, "levels"),
    ],
)
def test_l1_bad_packets_of_msgpack(fields, text):
    with pytest.raises(PacketError, match=text):
        MsgpackParser().feed(msgpack.packb(fields))


@pytest.mark.parametrize(
    "message",
    ["text", b"", b"\xc1", b"\x91" * 100_000, b"\xdf\xff\xff\xff\xff", b"\x80\x80"],
)
def test_l1_what_is_no_msgpack(message):
    with pytest.raises(PacketError):
        MsgpackParser().feed(message)


def test_msgpack_depth_at_the_limit():
    packet = Packet(EVENT, "/", ["e", nested(MAX_NESTING - 1)])
    assert through(MsgpackParser(), packet) == packet


def test_msgpack_knows_time_and_undefined():
    now = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    packet = Packet(EVENT, "/", ["e", now])
    assert through(MsgpackParser(), packet) == packet
    undefined = b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1e\xd4\x00\x00"
    assert MsgpackParser().feed(undefined).data == ["e", None]


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}, nested(101)])
def test_what_cannot_be_sent(value):
    with pytest.raises((TypeError, ValueError)):
        JSONParser().encode(Packet(EVENT, "/", ["e", value]))


def test_msgpack_that_cannot_be_sent():
    cycle: list = []
    cycle.append(cycle)
    with pytest.raises(PacketError, match="cycle"):
        MsgpackParser().encode(Packet(EVENT, "/", ["e", cycle]))
    with pytest.raises(TypeError):
        MsgpackParser().encode(Packet(EVENT, "/", ["e", object()]))


def test_parsers_by_name():
    assert isinstance(parser_of(None), JSONParser)
    assert isinstance(parser_of("default", "orjson"), JSONParser)
    assert isinstance(parser_of("msgpack"), MsgpackParser)
    assert isinstance(parser_of(MsgpackParser), MsgpackParser)
    with pytest.raises(ValueError, match="no parser 'xml'"):
        parser_of("xml")
    with pytest.raises(ValueError, match="no JSON 'fast'"):
        parser_of("default", "fast")
