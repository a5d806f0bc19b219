"""
Packets of Engine.IO 4, and payloads of them.

A packet is a ``str`` whose first character is its type, or ``bytes``: a message of
octets, without a type. In the payload of an HTTP request octets are text as well, ``b``
and base64, and packets are parted by U+001E. Nothing here runs once per octet in
Python: over a WebSocket a packet costs a slice or a concatenation.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Final

from .exceptions import BadPacket

__all__ = [
    "CLOSE",
    "MESSAGE",
    "NOOP",
    "OPEN",
    "PING",
    "PONG",
    "SEPARATOR",
    "UPGRADE",
    "Packet",
    "decode_payload",
    "encode_payload",
    "message_packet",
]

OPEN: Final = "0"
CLOSE: Final = "1"
PING: Final = "2"
PONG: Final = "3"
MESSAGE: Final = "4"
UPGRADE: Final = "5"
NOOP: Final = "6"

SEPARATOR: Final = "\x1e"

_TYPES: Final = frozenset("0123456")

Packet = str | bytes


def message_packet(data: str | bytes | bytearray | memoryview) -> Packet:
    """
    Return the packet of a message.

    Raises:
        TypeError: ``data`` is neither text nor octets.

    """
    if isinstance(data, str):
        return MESSAGE + data
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"a message is str or bytes, not {type(data).__name__}")


def encode_payload(packets: Iterable[Packet]) -> bytes:
    """
    Return packets as the body of an HTTP request or response.

    Args:
        packets: At least one. Text with U+001E in it would be taken for two packets;
            whoever has queued it has seen to that.

    """
    return SEPARATOR.join(
        [
            packet
            if isinstance(packet, str)
            else "b" + base64.b64encode(packet).decode("ascii")
            for packet in packets
        ]
    ).encode()


def decode_payload(payload: bytes, max_packets: int | None) -> list[Packet]:
    """
    Return the packets of the body of an HTTP request or response.

    Args:
        payload: The body; its length is somebody else's to limit.
        max_packets: Packets that it may have, or None.

    Raises:
        BadPacket: It is not UTF-8, has more packets, or one that is none.

    """
    try:
        text = payload.decode()
    except UnicodeDecodeError as exc:
        raise BadPacket(f"a payload that is not UTF-8: {exc.reason}") from None
    # One split more than is allowed: what is left over stays in one piece.
    parts = text.split(SEPARATOR, -1 if max_packets is None else max_packets)
    if max_packets is not None and len(parts) > max_packets:
        raise BadPacket(f"more than {max_packets} packets in a payload")
    return [_decoded(part) for part in parts]


def _decoded(part: str) -> Packet:
    kind = part[:1]
    if kind in _TYPES:
        return part
    if kind != "b":
        raise BadPacket(f"a packet of the type {kind!r}")
    try:
        return base64.b64decode(part[1:].encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise BadPacket(f"octets that are not in base64: {exc}") from None
