"""Event streams: octets to events, 64 KiB at a time, and events to octets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.micro.texts import text_of
from tests.engine.engines import load

SIZES = [64, 1 << 10, 16 << 10]  # octets of data
READ = 64 << 10  # octets of a read
SCRIPTS = ["ascii", "cjk"]


def stream_of(script: str, size: int) -> tuple[bytes, list[tuple[str, str, str]]]:
    """Return what one read brings, and the events in it: two lines of data each."""
    engine = load("python")
    count = max(1, READ // (size + 50))
    half = text_of(script, size // 2)
    events = [("update", f"{half}\n{half}{i:02}", f"id-{i}") for i in range(count)]
    octets = [engine.encode_event(data, kind, i) for kind, data, i in events]
    return b"".join(octets), events


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_parse(benchmark: Any, engine: SimpleNamespace, script: str, size: int) -> None:
    data, events = stream_of(script, size)
    parser = engine.EventParser()
    assert parser.feed(data) == events
    benchmark.group = f"event stream {script} {size} B x {len(events)}"
    benchmark.extra_info.update(octets=len(data), events=len(events))
    benchmark(parser.feed, data)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_parse_httpx_sse(benchmark: Any, script: str, size: int) -> None:
    decoders = pytest.importorskip("httpx_sse._decoders")
    lines, decoder = decoders.SSELineDecoder(), decoders.SSEDecoder()

    def feed(data: bytes) -> list[Any]:
        found = map(decoder.decode, lines.decode(data.decode()))
        return [event for event in found if event is not None]

    data, events = stream_of(script, size)
    assert [(e.event, e.data, e.id) for e in feed(data)] == events
    benchmark.group = f"event stream {script} {size} B x {len(events)}"
    benchmark.extra_info.update(octets=len(data), events=len(events))
    benchmark(feed, data)


@pytest.mark.parametrize("size", SIZES)
def test_encode(benchmark: Any, engine: SimpleNamespace, size: int) -> None:
    text = text_of("ascii", size // 2)
    data = f"{text}\n{text}"
    wanted = f"event: update\nid: 7\ndata: {text}\ndata: {text}\n\n"
    assert engine.encode_event(data, "update", "7") == wanted.encode()
    benchmark.group = f"event encode {size} B"
    benchmark(engine.encode_event, data, "update", "7")


@pytest.mark.parametrize("size", SIZES)
def test_encode_sse_starlette(benchmark: Any, size: int) -> None:
    starlette = pytest.importorskip("sse_starlette")
    text = text_of("ascii", size // 2)
    data = f"{text}\n{text}"

    def encode() -> bytes:
        octets: bytes = starlette.ServerSentEvent(data, event="update", id="7").encode()
        return octets

    assert b"data: " + text.encode() in encode()
    benchmark.group = f"event encode {size} B"
    benchmark(encode)
