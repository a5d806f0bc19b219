"""permessage-deflate: a message compressed and inflated, with each backend."""

from __future__ import annotations

import json
from typing import Any

import pytest

SIZES = [1 << 10, 16 << 10]  # octets of JSON


def document_of(size: int) -> bytes:
    """Return JSON as a chat or a market feed sends it, of about `size` octets."""
    rows = [
        {
            "id": i,
            "user": f"user{i * 7919 % 1000}",
            "price": i * 37 % 1000 / 8,
            "ok": True,
        }
        for i in range(size // 40 + 1)
    ]
    return json.dumps(rows).encode()[:size]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("backend", ["zlib", "zlib-ng", "isal"])
def test_deflate(benchmark: Any, backend: str, size: int) -> None:
    from wsfast.protocol.deflate import Deflate, DeflateOptions, DeflateParameters

    try:
        options = DeflateOptions(backend=backend)
    except (ImportError, ValueError) as error:
        pytest.skip(str(error))
    parameters = DeflateParameters(False, False, 12, 12)
    sender, receiver = Deflate(parameters, options), Deflate(parameters, options)
    data = document_of(size)

    def there_and_back() -> bytes:
        return receiver.decode(sender.encode(data), None)

    assert there_and_back() == data
    benchmark.group = f"deflate and inflate {size} B"
    benchmark.extra_info.update(octets=size, deflated=len(sender.encode(data)))
    receiver = Deflate(parameters, options)
    sender = Deflate(parameters, options)
    benchmark(there_and_back)


@pytest.mark.parametrize("size", SIZES)
def test_deflate_websockets(benchmark: Any, size: int) -> None:
    pytest.importorskip("websockets")
    from websockets.extensions.permessage_deflate import PerMessageDeflate
    from websockets.frames import Frame, Opcode

    settings = {"memLevel": 5}
    sender = PerMessageDeflate(False, False, 12, 12, settings)
    receiver = PerMessageDeflate(False, False, 12, 12, settings)
    frame = Frame(Opcode.TEXT, document_of(size))

    def there_and_back() -> Frame:
        return receiver.decode(sender.encode(frame))

    assert bytes(there_and_back().data) == frame.data
    benchmark.group = f"deflate and inflate {size} B"
    benchmark.extra_info.update(octets=size)
    benchmark(there_and_back)
