"""
Parsers: packets to what Engine.IO carries, and back.

:class:`JSONParser` is Socket.IO's own, with JSON by the standard library, orjson or
msgspec; ``wsfast.socketio.msgpack`` has the one that goes with npm's
socket.io-msgpack-parser. Another is anything with the two methods of :class:`Parser`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol, cast

from ._limits import limits
from ._parts import decode_header, deconstruct, encode_header, nesting, reconstruct
from .packet import (
    ACK,
    BINARY_EVENT,
    EVENT,
    MAX_ATTACHMENTS,
    MAX_NESTING,
    Packet,
    PacketError,
)

__all__ = ["Decoder", "JSONParser", "Parser", "parser_of"]


class Decoder(Protocol):
    """What makes packets of the messages of one connection."""

    def feed(self, message: str | bytes) -> Packet | None:
        """
        Take a message.

        Returns:
            The packet that it completes; None if more is to come.

        Raises:
            PacketError: The message is no part of a packet, or passes a limit.

        """
        ...


class Parser(Protocol):
    """What a server or a client is given as ``parser``."""

    def encode(self, packet: Packet) -> list[str | bytes]:
        """
        Return the messages of a packet: text as ``str``, binary as ``bytes``.

        Raises:
            PacketError: It is nested too deep.
            TypeError: It holds what the format has no form for.
            ValueError: The same, of a type that it has a form for.

        """
        ...

    def decoder(self) -> Decoder:
        """Return a decoder for one connection."""
        ...


class JSONParser:
    """
    Packets as text, octets in them as binary messages behind it.

    Args:
        json: ``None`` for the standard library, ``"orjson"`` or ``"msgspec"`` for
            these, or any module or object with ``dumps`` and ``loads``.
        max_attachments: Pieces of octets in a packet from the peer.

    Raises:
        ImportError: That package is not installed.
        ValueError: ``max_attachments`` is negative.

    """

    def __init__(
        self, json: Any = None, max_attachments: int = MAX_ATTACHMENTS
    ) -> None:
        limits(0, max_attachments=max_attachments)
        self.dumps, self.loads = _functions(json)
        self.max_attachments = max_attachments

    def encode(self, packet: Packet) -> list[str | bytes]:
        """Return the messages of a packet."""
        kind, data = packet.type, packet.data
        found: list[bytes] = []
        if kind in (EVENT, ACK):
            data = deconstruct(data, found)
            if found:
                kind += BINARY_EVENT - EVENT
        text = "" if data is None else self.dumps(data)
        head = encode_header(kind, packet.namespace, packet.id, len(found), text)
        return [head, *found]

    def decoder(self) -> JSONDecoder:
        """Return a decoder for one connection."""
        return JSONDecoder(self.loads, self.max_attachments)


class JSONDecoder:
    """
    Messages of one connection to packets.

    Args:
        loads: Reads JSON from a place of a text on, to its end.
        max_attachments: Pieces of octets in a packet.

    """

    __slots__ = ("_attachments", "_loads", "_max_attachments", "_missing", "_packet")

    def __init__(
        self, loads: Callable[[str, int], Any], max_attachments: int = MAX_ATTACHMENTS
    ) -> None:
        self._loads = loads
        self._max_attachments = max_attachments
        self._packet: Packet | None = None
        self._attachments: list[bytes] = []
        self._missing = 0

    def feed(self, message: str | bytes) -> Packet | None:
        """Take a message; return the packet that it completes."""
        if type(message) is not str:
            return self._attach(cast(bytes, message))
        if self._packet is not None:
            raise PacketError("text where an attachment was due", "attachments")
        kind, attachments, namespace, number, at = decode_header(
            message, self._max_attachments
        )
        data = None
        if at < len(message):
            if nesting(message, at) > MAX_NESTING:
                raise PacketError(f"more than {MAX_NESTING} levels", "nesting")
            try:
                data = self._loads(message, at)
            except PacketError:
                raise
            except (ValueError, RecursionError) as exc:
                raise PacketError(f"invalid JSON: {exc}", "json") from exc
        if attachments:
            kind -= BINARY_EVENT - EVENT
        packet = Packet(kind, namespace, data, number).check()
        if not attachments:
            return packet
        self._packet, self._missing = packet, attachments
        return None

    def _attach(self, message: bytes) -> Packet | None:
        packet = self._packet
        if packet is None:
            raise PacketError("an attachment of nothing", "attachments")
        self._attachments.append(bytes(message))
        self._missing -= 1
        if self._missing:
            return None
        attachments, self._attachments, self._packet = self._attachments, [], None
        packet.data = reconstruct(packet.data, attachments)
        return packet.check()


def parser_of(parser: Any, json: Any = None) -> Parser:
    """
    Return the parser that an option names.

    Args:
        parser: None or ``"default"``, ``"msgpack"``, a parser, or a class of parsers.
        json: What :class:`JSONParser` takes.

    Raises:
        ValueError: There is no parser of that name.

    """
    if parser is None or parser == "default":
        return JSONParser(json)
    if parser == "msgpack":
        from .msgpack import MsgpackParser

        return MsgpackParser()
    if isinstance(parser, str):
        raise ValueError(f"no parser {parser!r}: default or msgpack")
    return cast(Parser, parser() if isinstance(parser, type) else parser)


def _functions(
    module: Any,
) -> tuple[Callable[[Any], str], Callable[[str, int], Any]]:
    """Return what writes JSON, and what reads it from a place on."""
    if module is None or module is json or module == "json":
        return _dumps(), _loads
    if module == "orjson" or getattr(module, "__name__", "") == "orjson":
        import orjson

        return (
            lambda data: orjson.dumps(data).decode(),
            lambda text, at: orjson.loads(text[at:]),
        )
    if module == "msgspec" or getattr(module, "__name__", "") == "msgspec.json":
        import msgspec

        encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
        return lambda data: encode(data).decode(), lambda text, at: decode(text[at:])
    if isinstance(module, str):
        raise ValueError(f"no JSON {module!r}: json, orjson or msgspec")
    dumps, loads = module.dumps, module.loads

    def as_text(data: Any) -> str:
        text = dumps(data)
        return text.decode() if isinstance(text, bytes) else cast(str, text)

    return as_text, lambda text, at: loads(text[at:])


def _no_constant(name: str) -> Any:
    raise PacketError(f"{name} is not JSON", "json")


_raw_decode = json.JSONDecoder(parse_constant=_no_constant).raw_decode


def _loads(text: str, at: int) -> Any:
    """Read JSON with the standard library."""
    value, end = _raw_decode(text, at)
    if end != len(text) and text[end:].strip(" \t\r\n"):
        raise ValueError("something follows")
    return value


def _unknown(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _dumps() -> Callable[[Any], str]:
    """
    Return the standard library's writer of JSON.

    ``json.dumps`` makes an encoder of C anew for each call, which takes longer than a
    short event does; one is enough.
    """
    writer = json.JSONEncoder(
        separators=(",", ":"), allow_nan=False, check_circular=False
    )
    made = getattr(json.encoder, "c_make_encoder", None)
    if made is None:
        return writer.encode
    encoder = made(
        None,
        _unknown,
        json.encoder.encode_basestring_ascii,
        None,
        ":",
        ",",
        False,
        False,
        False,
    )

    def dumps(data: Any) -> str:
        return "".join(encoder(data, 0))

    return dumps
