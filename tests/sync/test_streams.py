"""Connections as files: ``as_stream()``."""

from __future__ import annotations

import gc
import hashlib
import io
import random

import pytest

from tests.faults.rawpeer import BINARY, CLOSE, CONT, TEXT
from tests.sync.conftest import WAIT_S, running, threaded, wired
from wsfast.exceptions import ConnectionClosedError
from wsfast.sync import ServerConnection, connect


def test_read():
    with wired() as (ws, peer):
        for payload in (b"abc", b"", b"d"):
            peer.frame(BINARY, payload)
        peer.frame(TEXT, "é", fin=False)
        peer.frame(CONT, "\n")
        peer.close(1000)
        reader, _ = ws.as_stream()
        assert reader.read1(2) == b"ab"
        assert reader.read(0) == b""
        assert reader.read(2) == b"cd"
        assert reader.peek().startswith(b"\xc3")
        assert reader.read() == "é\n".encode()
        assert reader.read() == reader.readline() == b""


def test_lines_and_text():
    with wired() as (ws, peer):
        for payload in (b"one\ntw", b"o\n\nthree\r", b"\nfour"):
            peer.frame(BINARY, payload)
        peer.close(1000)
        reader, _ = ws.as_stream()
        assert reader.readline(2) == b"on"
        assert list(reader) == [b"e\n", b"two\n", b"\n", b"three\r\n", b"four"]
    with wired() as (ws, peer):
        peer.frame(TEXT, "née\nÉ")
        peer.close(1000)
        assert io.TextIOWrapper(ws.as_stream()[0], "utf-8").read() == "née\nÉ"


def test_what_was_cut_short_is_not_the_whole():
    with wired() as (ws, peer):
        peer.frame(BINARY, b"half")
        peer.close(1011)
        reader, _ = ws.as_stream()
        assert reader.read(4) == b"half"
        with pytest.raises(ConnectionClosedError):
            reader.read()


@pytest.mark.parametrize(("text", "opcode"), [(False, BINARY), (True, TEXT)])
def test_write(text: bool, opcode: int):
    with wired() as (ws, peer):
        _, writer = ws.as_stream(text=text)
        assert writer.write(b"") == 0
        assert writer.write(b"one") == 3
        several = io.BufferedWriter(writer, 10)
        for octets in (b"a", b"b", b"c"):
            several.write(octets)
        several.flush()
        frames = [peer.recv() for _ in range(2)]
        assert [(f.opcode, f.payload) for f in frames] == [
            (opcode, b"one"),
            (opcode, b"abc"),
        ]
        with threaded(several.close) as got:
            assert peer.recv().opcode == CLOSE
            peer.close(1000)
        assert got == [None]
        with pytest.raises(ValueError, match="closed file"):
            writer.write(b"more")


def test_close_tells_that_something_may_be_lost():
    with wired() as (ws, peer):
        _, writer = ws.as_stream()
        writer.write(b"x")
        peer.half_close()
        with pytest.raises(ConnectionClosedError):
            writer.close()
        writer.close()


def test_files_that_are_forgotten_close_nothing():
    with wired() as (ws, peer):
        reader, writer = ws.as_stream()
        reader.close()
        with pytest.raises(ValueError, match="closed file"):
            reader.read()
        del reader, writer
        gc.collect()
        ws.send("still open")
        assert peer.recv().payload == b"still open"


def test_neither_has_a_descriptor():
    with wired() as (ws, _):
        for file in ws.as_stream():
            with pytest.raises(io.UnsupportedOperation):
                file.fileno()


def test_there_and_back():
    def copy(ws: ServerConnection) -> None:
        reader, writer = ws.as_stream()
        while octets := reader.read1():
            writer.write(octets)

    source = random.Random(7).randbytes(1 << 20)
    with running(copy) as server, connect(server.uri, proxy=None) as ws:
        reader, writer = ws.as_stream()

        def pour() -> None:
            for start in range(0, len(source), 70_000):
                writer.write(source[start : start + 70_000])

        with threaded(pour):
            found = reader.read(len(source))
        assert hashlib.sha256(found).digest() == hashlib.sha256(source).digest()
        writer.close()
        assert ws.wait_closed(WAIT_S)
