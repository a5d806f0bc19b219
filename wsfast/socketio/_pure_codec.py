"""
The packet codec in pure Python: the twin of `wsfast.socketio._codec`.

The header of a packet is ``type[attachments-][/namespace,][id]``, JSON follows. What is
octets in the data travels behind it, ``{"_placeholder": true, "num": n}`` in its place.
"""

from __future__ import annotations

import re
from typing import Any

from .packet import BINARY_EVENT, MAX_ID, MAX_NESTING, PacketError

__all__ = ["decode_header", "deconstruct", "encode_header", "nesting", "reconstruct"]

_DIGITS = re.compile(r"[0-9]*")
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def decode_header(
    text: str, max_attachments: int
) -> tuple[int, int, str, int | None, int]:
    """
    Read the header of a packet.

    Args:
        text: The packet.
        max_attachments: Attachments that it may announce.

    Returns:
        Its type, the number of its attachments (0 if the type has none), its
        namespace, its id or None, and where its JSON begins.

    Raises:
        PacketError: That is no header, or it passes a limit.

    """
    kind = ord(text[0]) - 48 if text else -1
    if not 0 <= kind <= 6:
        raise PacketError("unknown packet type", "type")
    at, attachments = 1, 0
    if kind >= BINARY_EVENT:
        end = _DIGITS.match(text, 1).end()  # type: ignore[union-attr]
        if end == 1 or text[end : end + 1] != "-":
            raise PacketError("illegal attachments", "attachments")
        if end > 11 or (attachments := int(text[1:end])) > max_attachments:
            raise PacketError(
                f"more than {max_attachments} attachments", "too_many_attachments"
            )
        if attachments == 0:
            raise PacketError("illegal attachments", "attachments")
        at = end + 1
    namespace = "/"
    if text[at : at + 1] == "/":
        comma = text.find(",", at)
        if comma < 0:
            namespace, at = text[at:], len(text)
        else:
            namespace, at = text[at:comma], comma + 1
    end = _DIGITS.match(text, at).end()  # type: ignore[union-attr]
    number = None
    if end > at:
        if end - at > 16 or (number := int(text[at:end])) > MAX_ID:
            raise PacketError("the id is more than 2 ** 53", "id")
        at = end
    return kind, attachments, namespace, number, at


def encode_header(
    kind: int,
    namespace: str,
    number: int | None,
    attachments: int,
    payload: str,
) -> str:
    """
    Write a packet.

    Args:
        kind: Its type.
        namespace: Its namespace.
        number: Its id, or None.
        attachments: How many binary attachments follow; written if the type has them.
        payload: Its JSON, or an empty string.

    Returns:
        The packet.

    """
    head = str(kind) if kind < BINARY_EVENT else f"{kind}{attachments}-"
    if namespace != "/":
        head += namespace + ","
    if number is not None:
        head += str(number)
    return head + payload


def nesting(text: str, at: int) -> int:
    """
    Return how many arrays and objects of a JSON text lie within each other at most.

    Args:
        text: What need not be valid.
        at: Where it begins.

    """
    deepest = depth = 0
    for match in _BRACKETS.finditer(text, at):
        found = match[0]
        if found in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found in "]}":
            depth -= 1
    return deepest


def deconstruct(data: Any, to: list[bytes]) -> Any:
    """
    Return data with a placeholder for each piece of octets in it.

    Args:
        data: What is to be sent. Left alone: what differs is copied.
        to: Where the octets are put, in order.

    Raises:
        PacketError: It is nested more than 100 deep, or contains itself.

    """
    return _deconstruct(data, to, 0)


def _deconstruct(data: Any, to: list[bytes], depth: int) -> Any:
    if isinstance(data, (list, tuple)):
        _one_deeper(depth)
        copy: Any = None
        for place, item in enumerate(data):
            new = _deconstruct(item, to, depth + 1)
            if new is not item:
                if copy is None:
                    copy = list(data)
                copy[place] = new
        return data if copy is None else copy
    if isinstance(data, dict):
        _one_deeper(depth)
        copy = None
        for key, item in data.items():
            new = _deconstruct(item, to, depth + 1)
            if new is not item:
                if copy is None:
                    copy = dict(data)
                copy[key] = new
        return data if copy is None else copy
    if isinstance(data, (bytes, bytearray, memoryview)):
        to.append(bytes(data))
        return {"_placeholder": True, "num": len(to) - 1}
    return data


def reconstruct(data: Any, attachments: list[bytes]) -> Any:
    """
    Put octets where their placeholders are.

    Args:
        data: Of JSON; changed in place.
        attachments: The octets.

    Returns:
        The data.

    Raises:
        PacketError: A placeholder has no number, or one out of range.

    """
    if isinstance(data, list):
        for place, item in enumerate(data):
            if isinstance(item, (list, dict)):
                data[place] = reconstruct(item, attachments)
    elif isinstance(data, dict):
        if data.get("_placeholder") is True:
            number = data.get("num")
            if type(number) is not int or not 0 <= number < len(attachments):
                raise PacketError("illegal attachments", "placeholder")
            return attachments[number]
        for key, item in data.items():
            if isinstance(item, (list, dict)):
                data[key] = reconstruct(item, attachments)
    return data


def _one_deeper(depth: int) -> None:
    if depth >= MAX_NESTING:
        raise PacketError(f"more than {MAX_NESTING} levels, or a cycle", "nesting")
