"""
What SockJS sends, in pure Python: the twin of `wsfast._sockjs`, with the same tests.

Arrays of JSON strings with escapes of its own (SockJS protocol 0.3.3, Protocol and
framing, JSON Unicode Encoding; RFC 8259 §7).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from wsfast._pure import contiguous_octets

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["decode_sockjs", "encode_sockjs", "quote_sockjs"]

_ESCAPED: Final = re.compile(
    "[\u200c-\u200f\u2028-\u202f\u2060-\u206f\ud800-\udfff\ufff0-\uffff"
    "\U00010000-\U0010ffff]"
)
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SPACE: Final = " \t\n\r"
_OTHER: Final = "{[-0123456789tfn"

_EXPECTED: Final = "Payload expected."
_BROKEN: Final = "Broken JSON encoding."


def quote_sockjs(text: str) -> bytes:
    """
    Write text as a JSON string, as sockjs-node does.

    Besides what JSON wants, code units of UTF-16 are escaped that browsers may change:
    U+200C to U+200F, U+2028 to U+202F, U+2060 to U+206F, U+FFF0 to U+FFFF, and
    surrogates, of which every code point above U+FFFF is a pair.

    Args:
        text: Any text; it may hold lone surrogates.

    Returns:
        The string in UTF-8, quotation marks included.

    """
    if not isinstance(text, str):
        raise TypeError(f"a message must be a str, not {type(text).__name__}")
    return _ESCAPED.sub(_escape, json.dumps(text, ensure_ascii=False)).encode()


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def encode_sockjs(messages: Iterable[str], mark: bytes = b"a") -> bytes:
    """
    Write messages as one array: an ``a`` frame, as a server sends it.

    Args:
        messages: The messages, see `quote_sockjs`.
        mark: What comes before the array: ``b""`` for what a client sends.

    Returns:
        The frame in UTF-8, as it is over WebSocket: without what transports add to it.

    Raises:
        TypeError: A message is not a ``str``.

    """
    if isinstance(messages, str):
        raise TypeError("messages must be several, not one str")
    return b"%b[%b]" % (mark, b",".join(map(quote_sockjs, messages)))


def decode_sockjs(data: str | Buffer, *, single: bool = False) -> list[str]:
    """
    Read an array of messages: what a client sends, or an ``a`` frame behind its ``a``.

    Args:
        data: Text, or its UTF-8 in a contiguous buffer.
        single: Also take a message that stands alone, without an array around it, as
            it may come over WebSocket.

    Returns:
        The messages. Surrogates that are escaped in pairs have become one code point;
        a lone one is in the ``str`` as it came.

    Raises:
        ValueError: With the words that servers of SockJS answer with:
            ``Payload expected.`` where there is nothing, or JSON that is no array of
            strings, ``Broken JSON encoding.`` where it is no JSON, or not UTF-8.

    """
    if isinstance(data, str):
        text = data
        if _has_surrogates(text):
            raise ValueError(_BROKEN)
    else:
        try:
            text = str(contiguous_octets(data), "utf-8")
        except UnicodeDecodeError:
            raise ValueError(_BROKEN) from None
    at = _behind_space(text, 0)
    if text[at : at + 1] == '"' or at == len(text):
        if at == len(text) or not single:
            raise ValueError(_EXPECTED)
        message, at = _string(text, at)
        if _behind_space(text, at) != len(text):
            raise ValueError(_BROKEN)
        return [message]
    if text[at] != "[":
        raise ValueError(_EXPECTED if text[at] in _OTHER else _BROKEN)
    return _array(text, at + 1)


def _array(text: str, at: int) -> list[str]:
    """Read an array, from behind its first bracket to the end of the text."""
    messages: list[str] = []
    at = _behind_space(text, at)
    if text[at : at + 1] != "]":
        while True:
            message, at = _string(text, _behind_space(text, at))
            messages.append(message)
            at = _behind_space(text, at)
            if text[at : at + 1] != ",":
                break
            at += 1
    if text[at : at + 1] != "]" or _behind_space(text, at + 1) != len(text):
        raise ValueError(_BROKEN)
    return messages


def _string(text: str, at: int) -> tuple[str, int]:
    """Read a string; return it and where it ends."""
    found = _STRING.match(text, at)
    if found is None:
        other = text[at : at + 1]
        raise ValueError(_EXPECTED if other and other in _OTHER else _BROKEN)
    try:
        message: str = json.loads(found[0])
    except ValueError:
        raise ValueError(_BROKEN) from None
    return message, found.end()


def _behind_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
