"""Exceptions: the tree, texts and constructors of the websockets library."""

from __future__ import annotations

import importlib
import inspect
import pickle

import pytest

from wsfast import exceptions
from wsfast.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    HandshakeError,
    HandshakeTimeout,
    InvalidHandshake,
    InvalidHeaderValue,
    MessageTooBig,
    PayloadTooBig,
    SlowConsumer,
    WebSocketException,
)
from wsfast.protocol import Close, Headers, Response

OURS = {
    name: kind
    for name, kind in vars(exceptions).items()
    if inspect.isclass(kind) and issubclass(kind, WebSocketException)
}
RESPONSE = Response(403, "Forbidden", Headers())
ARGUMENTS: dict[str, list[tuple]] = {
    "ConnectionClosed": [
        (None, None),
        (None, Close(1000, "")),
        (Close(1001, "bye"), None),
        (Close(1000, "a"), Close(1002, "b"), True),
        (Close(1000, "a"), Close(1002, "b"), False),
    ],
    "InvalidURI": [("x", "why")],
    "InvalidProxy": [("x", "why")],
    "InvalidProxyStatus": [(RESPONSE,)],
    "InvalidStatus": [(RESPONSE,)],
    "InvalidMethod": [("PUT",)],
    "InvalidProtocol": [("HTTP/1.0",)],
    "InvalidHeader": [("A",), ("A", None), ("A", ""), ("A", "b")],
    "InvalidHeaderFormat": [("A", "expected token", "x y", 2)],
    "InvalidOrigin": [(None,), ("",), ("http://a",)],
    "DuplicateParameter": [("a",)],
    "InvalidParameterName": [("a",)],
    "InvalidParameterValue": [("a", None), ("a", ""), ("a", "b")],
    "PayloadTooBig": [(None, 5), (7, 5), (7, 5, 1), (None, 5, 2)],
    "TooManyFragments": [(4,)],
}
ALIKE = {
    "ConnectionClosedOK": "ConnectionClosed",
    "ConnectionClosedError": "ConnectionClosed",
    "SlowConsumer": "ConnectionClosed",
    "InvalidHeaderValue": "InvalidHeader",
    "InvalidUpgrade": "InvalidHeader",
    "MessageTooBig": "PayloadTooBig",
}
CASES = [
    (name, args)
    for name in OURS
    for args in ARGUMENTS.get(ALIKE.get(name, name), [(), ("text",)])
]


def of_websockets():
    pytest.importorskip("websockets", minversion="17.0")
    return importlib.import_module("websockets.exceptions")


EXTRA = {  # what the websockets library does not have
    "HandshakeError",
    "HandshakeTimeout",
    "HeadTooLong",
    "InvalidPayload",
    "MessageTooBig",
    "PolicyViolation",
    "SlowConsumer",
}


@pytest.mark.parametrize(("name", "args"), [c for c in CASES if c[0] not in EXTRA])
def test_texts_are_those_of_websockets(name, args):
    theirs = of_websockets()
    assert str(OURS[name](*args)) == str(getattr(theirs, name)(*args))


def test_tree_is_that_of_websockets():
    theirs = of_websockets()
    for name in theirs.__all__:
        wanted = [k.__name__ for k in getattr(theirs, name).__mro__]
        assert name not in EXTRA
        assert set(wanted) <= {k.__name__ for k in OURS[name].__mro__}, name


def test_all_are_exported():
    assert sorted(exceptions.__all__) == sorted(OURS)


@pytest.mark.parametrize(("name", "args"), CASES)
def test_every_one_has_codes_and_survives_pickle(name, args):
    error = OURS[name](*args)
    assert isinstance(error.code, int)
    assert error.reason_code == error.reason_code.lower().replace(" ", "_")
    if name not in ("InvalidStatus", "InvalidProxyStatus"):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert (str(again), again.code) == (str(error), error.code)


def test_reason_codes_differ():
    codes = [kind.reason_code for kind in set(OURS.values())]
    assert len(set(codes)) == len(codes)


def test_connection_closed():
    error = ConnectionClosed(Close(4000, "why"), None)
    assert (error.code, error.reason) == (4000, "why")
    error = ConnectionClosed(None, Close(1000, ""))
    assert (error.code, error.reason) == (1006, "")


def test_what_is_ours():
    assert HandshakeError is InvalidHandshake
    assert MessageTooBig is PayloadTooBig
    assert issubclass(HandshakeTimeout, TimeoutError)
    assert HandshakeTimeout("late").status == 408
    assert issubclass(InvalidHeaderValue, ValueError)
    assert issubclass(SlowConsumer, ConnectionClosedError)
    assert str(SlowConsumer()).startswith("peer reads too slowly")


def test_payload_too_big_counts_what_was_read_before():
    error = PayloadTooBig(None, 5)
    error.set_current_size(10)
    assert error.max_size == 15
    assert str(error) == "frame after reading 10 bytes exceeds limit of 15 bytes"
    assert str(PayloadTooBig("text")) == "text"
