"""Exceptions say what they say in the websockets library: people match on it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import websockets.exceptions
import websockets.frames
import websockets.http11

import wsfast.websockets.exceptions
import wsfast.websockets.frames
import wsfast.websockets.http11

pytest.importorskip("websockets", minversion="17")

THEIRS: Any = websockets
OURS: Any = wsfast.websockets

CLOSES = [
    None,
    (1000, ""),
    (1001, "bye"),
    (1006, ""),
    (1011, "é"),
    (3000, ""),
    (4999, "x"),
]


@pytest.mark.parametrize(("rcvd", "sent"), list(itertools.product(CLOSES, CLOSES)))
@pytest.mark.parametrize("name", ["", "OK", "Error"])
def test_connection_closed(rcvd, sent, name):
    orders = [None] if rcvd is None or sent is None else [True, False]
    for order in orders:
        texts = []
        for library in (THEIRS, OURS):
            close = library.frames.Close
            exc = getattr(library.exceptions, f"ConnectionClosed{name}")(
                None if rcvd is None else close(*rcvd),
                None if sent is None else close(*sent),
                order,
            )
            texts.append((str(exc), exc.rcvd_then_sent))
            assert exc.rcvd is None or (exc.rcvd.code, exc.rcvd.reason) == rcvd
        assert texts[0] == texts[1]


MADE = [
    ("InvalidURI", "ws:x", "hostname isn't provided"),
    ("InvalidProxy", "x", "scheme isn't supported"),
    ("InvalidHandshake", "text"),
    ("SecurityError", "text"),
    ("TooManyFragments", 3),
    ("ProxyError", "text"),
    ("InvalidProxyMessage", "text"),
    ("InvalidMessage", "text"),
    ("InvalidMethod", "POST"),
    ("InvalidProtocol", "HTTP/1.0"),
    ("InvalidHeader", "Name"),
    ("InvalidHeader", "Name", ""),
    ("InvalidHeader", "Name", "value"),
    ("InvalidHeaderFormat", "Name", "expected token", "a=|", 3),
    ("InvalidHeaderValue", "Name"),
    ("InvalidHeaderValue", "Name", "value"),
    ("InvalidOrigin", None),
    ("InvalidOrigin", ""),
    ("InvalidOrigin", "http://x"),
    ("InvalidUpgrade", "Upgrade"),
    ("InvalidUpgrade", "Connection", "xyz"),
    ("NegotiationError", "unsupported subprotocol: spam"),
    ("DuplicateParameter", "a"),
    ("InvalidParameterName", "|"),
    ("InvalidParameterValue", "a", None),
    ("InvalidParameterValue", "a", ""),
    ("InvalidParameterValue", "a", "|"),
    ("ProtocolError", "invalid opcode: 7"),
    ("PayloadTooBig", None, 4),
    ("PayloadTooBig", 8, 4),
    ("PayloadTooBig", 8, 4, 4),
    ("InvalidState", "text"),
    ("ConcurrencyError", "get() or get_iter() is already running"),
]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made[0])
def test_others(made):
    name, *arguments = made
    texts = [
        str(getattr(library.exceptions, name)(*arguments)) for library in (THEIRS, OURS)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", ["InvalidStatus", "InvalidProxyStatus"])
def test_with_a_response(name):
    texts = []
    for library in (THEIRS, OURS):
        headers = library.Headers()
        response = library.http11.Response(418, "I'm a teapot", headers, b"")
        texts.append(str(getattr(library.exceptions, name)(response)))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("close", [c for c in CLOSES if c])
def test_close(close):
    assert str(THEIRS.frames.Close(*close)) == str(OURS.frames.Close(*close))
    assert int(OURS.frames.CloseCode.GOING_AWAY) == 1001
