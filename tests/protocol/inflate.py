"""A slow inflater that knows how far back each match reached (RFC 1951)."""

from __future__ import annotations

from collections.abc import Iterator

LENGTHS = [(3 + n, 0) for n in range(8)]
for _extra in range(1, 6):
    for _ in range(4):
        LENGTHS.append((LENGTHS[-1][0] + (1 << LENGTHS[-1][1]), _extra))
LENGTHS[-1] = (LENGTHS[-1][0], 5)
LENGTHS.append((258, 0))
DISTANCES = [(1 + n, 0) for n in range(4)]
for _extra in range(1, 14):
    for _ in range(2):
        DISTANCES.append((DISTANCES[-1][0] + (1 << DISTANCES[-1][1]), _extra))
ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)

Code = dict[tuple[int, int], int]


class Bits:
    """Bits of octets, the lowest first."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.end = 8 * len(data)
        self.pos = 0

    def take(self, count: int) -> int:
        start = self.pos
        self.pos += count
        assert self.pos <= self.end, "stream ends within a block"
        octets = self.data[start // 8 : start // 8 + 4]
        return int.from_bytes(octets, "little") >> start % 8 & ((1 << count) - 1)


def build(lengths: list[int]) -> Code:
    code: Code = {}
    value = 0
    for length in range(1, 16):
        for symbol, wanted in enumerate(lengths):
            if wanted == length:
                code[length, value] = symbol
                value += 1
        value <<= 1
    return code


def symbol(bits: Bits, code: Code) -> int:
    value = length = 0
    while (length, value) not in code:
        value = value << 1 | bits.take(1)
        length += 1
        assert length <= 15, "no such code"
    return code[length, value]


FIXED = (build([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), build([5] * 30))


def dynamic(bits: Bits) -> tuple[Code, Code]:
    literals = bits.take(5) + 257
    distances = bits.take(5) + 1
    count = bits.take(4) + 4
    lengths = [0] * 19
    for place in ORDER[:count]:
        lengths[place] = bits.take(3)
    code = build(lengths)
    found: list[int] = []
    while len(found) < literals + distances:
        length = symbol(bits, code)
        if length < 16:
            found.append(length)
        elif length == 16:
            found += [found[-1]] * (3 + bits.take(2))
        else:
            found += [0] * (3 + bits.take(3) if length == 17 else 11 + bits.take(7))
    return build(found[:literals]), build(found[literals:])


def distances(data: bytes) -> Iterator[int]:
    """Yield the distance of each match in a raw deflate stream without a last block."""
    bits = Bits(data)
    while bits.end - bits.pos >= 8:
        bits.take(1)
        kind = bits.take(2)
        if kind == 0:
            bits.pos = (bits.pos + 7) // 8 * 8
            length = bits.take(16)
            assert length ^ bits.take(16) == 0xFFFF
            bits.pos += 8 * length
            continue
        assert kind in (1, 2)
        literals, far = FIXED if kind == 1 else dynamic(bits)
        while (found := symbol(bits, literals)) != 256:
            if found > 256:
                bits.take(LENGTHS[found - 257][1])
                base, extra = DISTANCES[symbol(bits, far)]
                yield base + bits.take(extra)
