"""
Inputs for the Python targets: those of the corpus, and what is made of them.

Cut, joined, repeated and altered inputs, and words of the grammars put in.
"""

from __future__ import annotations

import random
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
LONGEST = 4096

WORDS = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b",", b";", b"=", b'"',
    b"\\", b":", b"permessage-deflate",
    b"server_max_window_bits", b"client_max_window_bits",
    b"server_no_context_takeover", b"client_no_context_takeover", b"8", b"15", b"16",
    b"Host: a", b"Upgrade: websocket", b"Connection: keep-alive, Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13",
    b"Content-Length: 5", b"Transfer-Encoding: chunked", b"HTTP/1.1", b"HTTP/1.0",
    b"GET / ", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"data:", b"id:",
    b"event:", b"retry:", b"\x1e", b"2probe", b"b", b"[", b"]", b"{", b"}", b"\\u",
    b"\\ud800", b'{"_placeholder":true,"num":0}', b"51-", b"/admin,", b"\x81\x85",
    b"\x88\x82", b"\xc1", b"\x7f", b"\x80", b"\x01\x00", b"\x00\x00\xff\xff",
]  # fmt: skip


def corpus(target: str) -> list[bytes]:
    """Return the inputs that are kept for a target."""
    files = sorted((CORPUS / target).glob("*"))
    return [file.read_bytes() for file in files]


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return an input made of those there are."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(data))
        until = min(len(data), at + rng.choice((1, 1, 2, 4, 16, 64)))
        kind = rng.randrange(7)
        if kind == 0:
            del data[at:until]
        elif kind == 1:
            data[at:at] = rng.choice(WORDS)
        elif kind == 2:
            data[at:until] = rng.choice(WORDS)
        elif kind == 3:
            data[at:at] = data[at:until] * rng.choice((1, 2, 20))
        elif kind == 4 and until > at:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 5:
            data[at:until] = rng.randbytes(until - at)
        else:
            other = rng.choice(seeds)
            data[at:] = other[rng.randint(0, len(other)) :]
    return bytes(data[:LONGEST])
