"""Extensions, and options about what is delivered, for threads."""

from __future__ import annotations

import pytest

from tests.faults.rawpeer import BINARY, TEXT
from tests.protocol.sample_extensions import MarkedFactory
from tests.sync.conftest import WAIT_S, echo, running, wired
from wsfast.exceptions import ConnectionClosedError
from wsfast.sync import connect


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_extensions(compression: str | None):
    factories = [MarkedFactory()]
    with (
        running(echo, extensions=factories, compression=compression) as server,
        connect(server.uri, extensions=factories, compression=compression) as ws,
    ):
        assert ws.extensions[0].name == "mark"
        assert len(ws.extensions) == (1 if compression is None else 2)
        for message in ("", "é" * 1000, b"\xff" * 100_000):
            ws.send(message)
            assert ws.recv(WAIT_S) == message


def test_text_views_and_fragments():
    with wired(text="bytes", validate_utf8=False, binary="memoryview") as (ws, peer):
        peer.frame(TEXT, b"\xff")
        peer.frame(BINARY, b"view")
        assert ws.recv(WAIT_S) == b"\xff"
        assert type(view := ws.recv(WAIT_S)) is memoryview
        assert view == b"view"
    with wired(max_size=(1000, 10)) as (ws, peer):
        peer.frame(TEXT, "x" * 11)
        with pytest.raises(ConnectionClosedError) as info:
            ws.recv(WAIT_S)
        assert info.value.sent.code == 1009


def test_mask():
    with running(echo) as server, connect(server.uri, mask="zero") as ws:
        ws.send("plain to see")
        assert ws.recv(WAIT_S) == "plain to see"
