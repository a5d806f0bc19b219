"""
What nodes say by the sharded adapter of npm's ``@socket.io/redis-adapter`` 8.

It is that of the cluster adapters of ``socket.io-adapter`` 2.5. Read and written are
the maps of :mod:`.redis_wire`, which say the same in other words.
"""

from __future__ import annotations

import json
from typing import Any, Final

from . import redis_wire as wire
from .msgpack import pack
from .packet import PacketError

__all__ = ["is_from", "read", "write_answer", "write_request"]

#: Each request by its number here, and by the one of the classic adapter.
REQUESTS: Final = {
    3: wire.BROADCAST,
    4: wire.REMOTE_JOIN,
    5: wire.REMOTE_LEAVE,
    6: wire.REMOTE_DISCONNECT,
    7: wire.REMOTE_FETCH,
    9: wire.SERVER_SIDE_EMIT,
}
#: Each answer; here, they have numbers of their own.
ANSWERS: Final = {
    8: wire.REMOTE_FETCH,
    10: wire.SERVER_SIDE_EMIT,
    11: wire.BROADCAST_CLIENT_COUNT,
    12: wire.BROADCAST_ACK,
}
_OF_REQUEST: Final = {theirs: ours for ours, theirs in REQUESTS.items()}
_OF_ANSWER: Final = {theirs: ours for ours, theirs in ANSWERS.items()}
#: What is around an event of so many levels as it may have: message, data, packet.
AROUND: Final = 3


def write_request(uid: str, namespace: str, request: dict[str, Any]) -> bytes:
    """
    Write a request.

    Args:
        uid: Whose it is.
        namespace: Where.
        request: As the classic adapter has it.

    Raises:
        PacketError: It is nested too deep.
        TypeError, ValueError: Neither JSON nor msgpack can hold it.

    """
    return _write(uid, namespace, _OF_REQUEST[request["type"]], request)


def write_answer(uid: str, namespace: str, kind: int, answer: dict[str, Any]) -> bytes:
    """
    Write an answer, in the same way.

    Args:
        uid: Whose it is.
        namespace: Where.
        kind: To what.
        answer: As the classic adapter has it.

    Raises:
        PacketError, TypeError, ValueError: As for `write_request`.

    """
    return _write(uid, namespace, _OF_ANSWER[kind], answer)


def _write(uid: str, namespace: str, number: int, fields: dict[str, Any]) -> bytes:
    data = {k: v for k, v in fields.items() if k not in ("uid", "type")}
    if "data" in data:
        data["packet"] = data.pop("data")
    # Its own messages come back to each node, which tells them by their first octets.
    message = {"uid": uid, "nsp": namespace, "type": number, "data": data}
    try:
        return wire.write_json(message)
    except (TypeError, ValueError, RecursionError):  # octets, times, NaN
        return pack(message)


def is_from(uid: str, octets: bytes) -> bool:
    """Tell whether a message is one that a node of this name has written here."""
    name = json.dumps(uid).encode()
    return octets.startswith((b'{"uid":' + name, b"\x84\xa3uid" + pack(uid)))


def read(octets: bytes, namespace: str) -> tuple[bool, dict[str, Any]] | None:
    """
    Read a message.

    Args:
        octets: What came.
        namespace: Where.

    Returns:
        Whether it is an answer, and what it says, as the classic adapter has it; None
        if it is for another namespace.

    Raises:
        PacketError: It is none.

    """
    message = wire.read_message(octets, AROUND)
    if message.get("nsp") != namespace:
        return None
    number, data = message.get("type"), message.get("data")
    if type(data) is not dict:
        raise PacketError("the data of a message is a map", "payload")
    if type(number) is not int or number not in {**REQUESTS, **ANSWERS}:
        raise PacketError(f"a message of type {number!r}", "type")
    answer = number in ANSWERS
    fields = {**data, "uid": wire.text_of(message.get("uid"))}
    fields["type"] = kind = (ANSWERS if answer else REQUESTS)[number]
    if kind == wire.SERVER_SIDE_EMIT:
        fields["data"] = data.get("packet")
    return answer, fields
