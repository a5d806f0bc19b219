"""
Fuzz targets above the C core: whatever octets come, these functions do not fail.

Each takes octets. What a peer's mistake raises is caught here, by its documented
exception; any other exception, and any difference between two ways to the same result,
is a finding.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from wsfast import _pure_events, _pure_frames, _pure_sockjs, engine
from wsfast.engineio import _packets
from wsfast.engineio.exceptions import BadPacket
from wsfast.exceptions import (
    InvalidHandshake,
    InvalidPayload,
    InvalidURI,
    PayloadTooBig,
    ProtocolError,
)
from wsfast.protocol import (
    ClientHandshake,
    Deflate,
    DeflateOptions,
    DeflateParameters,
    HeadReader,
    Protocol,
    ServerHandshake,
    heads,
    parse_request,
    parse_response,
    parse_uri,
)
from wsfast.protocol.extensions import answer_offers, check_answer
from wsfast.protocol.headers import (
    build_extension,
    build_subprotocol,
    parse_authorization_basic,
    parse_connection,
    parse_extension,
    parse_subprotocol,
    parse_upgrade,
)
from wsfast.socketio import _parts, _pure_codec, redis_sharded_wire, redis_wire
from wsfast.socketio.msgpack import MsgpackParser
from wsfast.socketio.packet import PacketError
from wsfast.socketio.parser import JSONParser
from wsfast.sockjs._http import Client, DirectExchange

LIMIT = 4096
PARAMETERS = DeflateParameters(False, False, 15, 15)


def _read(kind: str, data: bytes, step: int, library: str) -> Any:
    """Return what a head is, or the name of what is wrong with it."""
    heads._split = heads.LIBRARIES[library]
    reader = HeadReader(kind=kind)
    try:
        while not reader.feed(data[:step]):
            data = data[step:]
            if not data:
                return None
        message = (parse_request if kind == "request" else parse_response)(reader.head)
    except InvalidHandshake as exc:
        return type(exc).__name__
    return reader.head, list(message.headers.raw_items())


def http_heads(data: bytes) -> None:
    """Read a head whole, in pieces and octet by octet, with each library."""
    split = heads._split
    try:
        for kind in ("request", "response"):
            found = [
                _read(kind, data, step, library)
                for step in (len(data) or 1, 7, 1)
                for library in heads.LIBRARIES
            ]
            whole = [one for one in found if isinstance(one, tuple)]
            assert not whole or whole == found, found
    finally:
        heads._split = split


def handshake(data: bytes) -> None:
    """Answer a request, and take it for a response to ours."""
    with suppress(InvalidHandshake):
        reader = HeadReader()
        if reader.feed(data):
            handshake = ServerHandshake(
                subprotocols=["a", "b"],
                deflate=DeflateOptions(),
                origins=["http://a", None],
            )
            octets = handshake.accept(parse_request(reader.head)).serialize()
            assert octets.startswith(b"HTTP/1.1 ")
            assert octets.count(b"\r\n\r\n") >= 1
    with suppress(InvalidHandshake):
        reader = HeadReader(kind="response")
        if reader.feed(data):
            asking = ClientHandshake("ws://a/", deflate=DeflateOptions())
            asking.accept(parse_response(reader.head))


def header_values(data: bytes) -> None:
    """Read lists of extensions and subprotocols; what is built of them is the same."""
    text = data.decode("latin-1")
    with suppress(InvalidHandshake):
        extensions = parse_extension(text)
        assert parse_extension(build_extension(extensions)) == extensions
    with suppress(InvalidHandshake):
        subprotocols = parse_subprotocol(text)
        assert parse_subprotocol(build_subprotocol(subprotocols)) == subprotocols
    for parse in (parse_connection, parse_upgrade, parse_authorization_basic):
        with suppress(InvalidHandshake):
            parse(text)
    with suppress(InvalidURI):
        parse_uri("ws://" + text)


def extensions(data: bytes) -> None:
    """Negotiate permessage-deflate: no window comes out that zlib does not take."""
    options = DeflateOptions()
    answer = answer_offers(data, options)
    if answer is not None:
        for bits in answer[1][2:]:
            assert 8 <= bits <= 15
        line, mark, value = answer[0].partition(b": ")
        assert mark and line.strip() == b"Sec-WebSocket-Extensions"
        offered = DeflateOptions(client_max_window_bits=True)
        with suppress(InvalidHandshake):  # it may be more than this client offered
            check_answer([value.decode("ascii").strip()], offered)
    with suppress(InvalidHandshake):
        deflate = check_answer([data.decode("latin-1")], options)
        if deflate is not None:
            assert deflate.decode(deflate.encode(b"x" * 99), LIMIT) == b"x" * 99


def deflate(data: bytes) -> None:
    """Inflate a stream within a limit, as zlib alone would."""
    try:
        got = Deflate(PARAMETERS, DeflateOptions()).decode(data, LIMIT)
    except (PayloadTooBig, InvalidPayload, ProtocolError):
        return
    assert len(got) <= LIMIT
    inflater = zlib.decompressobj(wbits=-15)
    want = inflater.decompress(data + b"\0\0\xff\xff")
    if not inflater.eof:  # else another stream may follow
        assert got == want


def connection(data: bytes) -> None:
    """Feed a connection whole and octet by octet: the same events and the same end."""
    found = []
    for step in (len(data) or 1, 1):
        deflate = Deflate(PARAMETERS, DeflateOptions())
        ours = Protocol(client=False, deflate=deflate)
        for at in range(0, len(data), step):
            ours.receive_data(data[at : at + step])
        failure = ours.failure
        found.append((repr(ours.events_received()), repr(failure), ours.state))
    assert found[0] == found[1]


def messages(data: bytes) -> None:
    """Read frames in C and in Python: the same messages, the same error."""
    found: list[Any] = []
    for make in (engine.FrameParser, _pure_frames.FrameParser):
        try:
            found.append((make(client=False).feed(data), None))
        except engine.FrameError as exc:
            found.append((exc.frames, exc.reason_code))
    assert found[0] == found[1]


def events(data: bytes) -> None:
    """Read an event stream in C and in Python, whole and octet by octet."""
    found = []
    for make in (engine.EventParser, _pure_events.EventParser):
        for step in (len(data) or 1, 1):
            parser = make(max_line=100, max_size=200)
            got: list[Any] = []
            error = None
            try:
                for at in range(0, len(data), step):
                    got += parser.feed(data[at : at + step])
            except engine.EventError as exc:
                got += exc.events
                error = exc.reason_code
            found.append((got, error, parser.retry))
    assert all(one == found[0] for one in found), found


def engine_io(data: bytes) -> None:
    """Read a payload of Engine.IO; what is encoded again is read as the same."""
    with suppress(BadPacket):
        packets = _packets.decode_payload(data, 16)
        assert 1 <= len(packets) <= 16
        assert _packets.decode_payload(_packets.encode_payload(packets), 16) == packets


def socket_io(data: bytes) -> None:
    """Read packets of Socket.IO, attachments behind a NUL each."""
    head, *attachments = data.split(b"\0")
    decoder = JSONParser().decoder()
    with suppress(PacketError, UnicodeDecodeError):
        packet = decoder.feed(head.decode())
        for attachment in attachments:
            packet = decoder.feed(attachment)
        if packet is not None:
            JSONParser().encode(packet)


def socket_io_json(data: bytes) -> None:
    """Read a packet with each JSON: what one refuses, it refuses by our exception."""
    with suppress(UnicodeDecodeError):
        text = data.decode()
        for parser in (JSONParser("orjson"), JSONParser("msgspec")):
            with suppress(PacketError):
                parser.decoder().feed(text)


def socket_io_msgpack(data: bytes) -> None:
    """Read a packet of msgpack; what is encoded again is read as the same."""
    parser = MsgpackParser()
    with suppress(PacketError):
        packet = parser.feed(data)
        with suppress(TypeError, ValueError, OverflowError):  # a time of its own
            (octets,) = parser.encode(packet)
            again = parser.feed(cast(bytes, octets))
            assert repr(again) == repr(packet)  # NaN is not equal to itself


def socket_io_redis(data: bytes) -> None:
    """Read what nodes of JavaScript say; an event that is written again is the same."""
    with suppress(PacketError):
        event = redis_wire.read_event(data, "/", "own")
        if event is not None:
            packet, target = event
            JSONParser().encode(packet)
            again = redis_wire.write_event("other", packet, target)
            assert redis_wire.read_event(again, "/", "other") is None
            read = redis_wire.read_event(again, "/", "own")
            assert read is not None
            assert read[0] == packet
            assert read[1].rooms == target.rooms
    with suppress(PacketError):
        message = redis_wire.read_message(data)
        for read_field in (
            redis_wire.clients_of,
            redis_wire.names_of,
            redis_wire.number_of,
            redis_wire.target_of,
            redis_wire.text_of,
            redis_wire.for_json,
        ):
            for value in message.values():
                with suppress(PacketError):
                    read_field(value)


def socket_io_redis_sharded(data: bytes) -> None:
    """Read the same of the sharded adapter; what is written again says the same."""
    with suppress(PacketError):
        message = redis_sharded_wire.read(data, "/")
        if message is None:
            return
        answer, fields = message
        uid, kind = fields["uid"], fields["type"]
        try:
            if answer:
                again = redis_sharded_wire.write_answer(uid, "/", kind, fields)
            else:
                again = redis_sharded_wire.write_request(uid, "/", fields)
        except (TypeError, ValueError, OverflowError):
            return  # msgpack holds more than our JSON, and less than it
        assert redis_sharded_wire.is_from(uid, again)
        read = redis_sharded_wire.read(again, "/")
        assert read is not None
        assert (read[0], read[1]["type"]) == (answer, kind)
        if not answer and kind == redis_wire.BROADCAST:
            JSONParser().encode(redis_wire.packet_of(fields.get("packet"), "/"))


def socket_io_header(data: bytes) -> None:
    """Read a header, and the depth of what follows, in C and in Python."""
    for encoding in ("latin-1", "utf-16-le", "utf-32-le"):  # of each width
        text = data.decode(encoding, "replace")
        found: list[Any] = []
        for codec in (_parts, _pure_codec):
            try:
                header = codec.decode_header(text, 10)
                found.append((header, codec.nesting(text, header[-1])))
            except PacketError as exc:
                found.append(exc.reason_code)
        assert found[0] == found[1], found


def sock_js(data: bytes) -> None:
    """Read messages of SockJS in C and in Python; encoded, they are the same again."""
    found: list[Any] = []
    for decode in (engine.decode_sockjs, _pure_sockjs.decode_sockjs):
        try:
            found.append(decode(data))
        except ValueError as exc:
            found.append(type(exc))
    assert found[0] == found[1], found
    if isinstance(found[0], list):
        octets = engine.encode_sockjs(found[0])
        assert octets == _pure_sockjs.encode_sockjs(found[0])
        assert engine.decode_sockjs(octets[1:]) == found[0]


class _Link:
    """Octets in, octets out; a timer never goes off."""

    def __init__(self) -> None:
        self.driver = self.loop = self
        self.sent = b""
        self.ended = False
        self.due: list[Callable[[], None]] = []
        self.write = self._write

    def _write(self, octets: bytes) -> None:
        self.sent += octets

    def close(self) -> None:
        self.ended = True

    abort = close

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.due.append(callback)

    def time(self) -> float:
        return 0.0

    def schedule(self, timed: Any, when: float) -> None: ...

    cancel = pause_reading = resume_reading = lambda *_: None

    def get_extra_info(self, name: str) -> None: ...


class _Requests:
    """What :class:`wsfast.sockjs.Server` is to its clients."""

    open_timeout = keep_alive = request_timeout = linger = 1.0
    limits = heads.DEFAULT_LIMITS
    max_body = LIMIT
    closing = False
    scheme = "http"
    logger = logging.getLogger("wsfast.fuzz")

    def __init__(self) -> None:
        self.fresh: dict[Any, None] = {}
        self.found: list[Any] = []

    def take(self, client: Any, data: bytes) -> bool:
        return False

    def is_opening(self, request: Any) -> bool:
        return "upgrade" in request.headers

    def upgrade(self, client: Any, data: bytes, since: float) -> None:
        self.found.append("upgrade")

    def requested(self, client: Any, request: Any, body: bytes) -> None:
        scope = client.scope_of(request)
        if scope is None:
            client.refuse(400, "target")
            return
        self.found.append((scope, body))
        client.exchange = exchange = DirectExchange(client, scope, body)
        exchange.begin(200, [], b"yes")
        client.end()


def sock_js_http(data: bytes) -> None:
    """Read requests of SockJS's own server whole and octet by octet: the same."""
    found = []
    for step in (len(data) or 1, 1):
        link, server = _Link(), _Requests()
        client = Client(cast(Any, server), cast(Any, link), 0.0)
        for at in range(0, len(data), step):
            client.data_received(data[at : at + step])
            while link.due:
                link.due.pop(0)()
        # Which of several faults is found first depends on what has come.
        lines = re.findall(rb"(?m)^HTTP/1.1 (?:[23]\d\d|(?=[45]))", link.sent)
        found.append((server.found, lines, link.ended))
    assert found[0] == found[1], found


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        http_heads,
        handshake,
        header_values,
        extensions,
        deflate,
        connection,
        messages,
        events,
        engine_io,
        socket_io,
        socket_io_json,
        socket_io_msgpack,
        socket_io_header,
        socket_io_redis,
        socket_io_redis_sharded,
        sock_js,
        sock_js_http,
    )
}
