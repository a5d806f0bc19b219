"""Errors as lines that say what to do, and what the doctor advises: no program runs."""

from __future__ import annotations

import errno
import os
import ssl

import pytest

from wsfast.cli._errors import closing, error_of
from wsfast.cli.doctor import _advice
from wsfast.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeTimeout,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from wsfast.protocol import Headers, Response
from wsfast.protocol.closing import Close

URI = "ws://127.0.0.1/x"


def system(number):
    return OSError(number, os.strerror(number))


def tls(reason):
    error = ssl.SSLError(1, f"[SSL: {reason}] it failed (_ssl.c:1)")
    error.reason = reason
    return error


def caused(exc, cause):
    exc.__cause__ = cause
    return exc


def several(*errors):
    error = OSError("all of them failed")
    error.exceptions = errors
    return error


@pytest.mark.parametrize(
    ("exc", "line"),
    [
        (InvalidURI("x", "no scheme"), "write it as ws://HOST:PORT/PATH"),
        (InvalidProxy("x", "no scheme"), "write it as http://HOST:PORT"),
        (ImportError("python-socks is wanted"), "python-socks is wanted"),
        (HandshakeTimeout("late"), "no answer in time; --timeout SECONDS waits longer"),
        (TimeoutError(), "no answer in time; --timeout SECONDS waits longer"),
        (system(errno.ETIMEDOUT), os.strerror(errno.ETIMEDOUT)),
        (tls("WRONG_VERSION_NUMBER"), "with ws:// it may answer"),
        (tls("TLSV1_ALERT_INTERNAL_ERROR"), "TLS failed: TLSV1_ALERT_INTERNAL_ERROR"),
        (ProxyError("no tunnel"), "no tunnel; --no-proxy goes without"),
        (InvalidHandshake("no key"), "not a proper opening handshake: no key"),
        (InvalidMessage("x"), "the answer is not HTTP: this is no WebSocket server"),
        (caused(InvalidMessage("x"), ValueError("bad line")), "server (bad line)"),
        (caused(InvalidMessage("x"), EOFError()), "wants wss:// in place of ws://"),
        (system(errno.ECONNREFUSED), "nobody listens there: is the server running"),
        (several(system(errno.ENETUNREACH)), "is the network up"),
        (several(ValueError(), system(errno.ECONNRESET)), "cut the connection"),
        (several(ValueError()), "all of them failed"),
        (caused(OSError("outer"), system(errno.EMFILE)), "ulimit -n"),
        (caused(OSError("outer"), ValueError("inner")), ": outer"),
        (OSError(), ": OSError"),
        (RuntimeError("odd"), ": odd"),
        (RuntimeError(), ": RuntimeError"),
    ],
)
def test_what_to_do(exc, line):
    error = error_of(exc, URI, None)
    assert line in str(error)
    assert "\n" not in str(error)
    wrong = isinstance(exc, (InvalidURI, InvalidProxy))
    assert error.status == (2 if wrong else 1)


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (404, b"", "the server answers HTTP 404 Text (is the path right?)"),
        (418, b"", "the server answers HTTP 418 Text"),
        (503, b"\n  going down\nmore", "HTTP 503 Text: going down (the server is busy"),
        (500, b"\xff" * 500, "HTTP 500 Text: " + "\N{REPLACEMENT CHARACTER}" * 200),
    ],
)
def test_refusals(status, body, line):
    refusal = InvalidStatus(Response(status, "Text", Headers(), body))
    assert line in str(error_of(refusal, URI, None))


def test_passwords_are_not_shown():
    error = error_of(OSError(), "ws://me:secret@h/p", "http://you:hidden@proxy:1")
    assert str(error) == "ws://h/p through http://proxy:1: OSError"


BYE, BAD, BIG = Close(1000, "bye"), Close(1002, ""), Close(1009, "")


@pytest.mark.parametrize(
    ("exc", "line"),
    [
        (ConnectionClosedOK(BYE, BYE, True), "closed by the server with 1000"),
        (ConnectionClosedError(BAD, None, None), "closed by the server with 1002"),
        (ConnectionClosedError(None, None, None), "cut off by the other side"),
        (ConnectionClosedOK(BYE, BYE, False), "closed with 1000"),
        (ConnectionClosedError(None, BIG, None), "--max-size takes larger messages; "),
        (ConnectionClosedError(None, BAD, None), "the server did not answer that"),
    ],
)
def test_how_it_was_closed(exc, line):
    assert line in closing(exc)


GOOD = {
    "engine": "c",
    "python": "CPython 3.12",
    "kernel": "avx2",
    "kernels": ["avx2", "scalar"],
    "path": "reactor",
    "loops": ["uvloop"],
    "backends": ["zlib-ng"],
    "deflate": "zlib-ng",
    "targets": [],
}
AIOHTTP = {"target": "aiohttp", "accelerated": False, "known": True, "installed": "3"}


@pytest.mark.parametrize(
    ("found", "variables", "line"),
    [
        ({"engine": "python"}, {"WSFAST_PURE": "1"}, "WSFAST_PURE asks for pure"),
        ({"engine": "python"}, {"WSFAST_KERNEL": "python"}, "WSFAST_KERNEL asks for"),
        ({"engine": "python"}, {}, "the C engine is not built"),
        ({"engine": "python", "python": "PyPy 3.10"}, {}, "runs on CPython only"),
        ({"kernel": "scalar"}, {"WSFAST_KERNEL": "scalar"}, "avx2 is faster: unset it"),
        ({}, {"WSFAST_KERNEL": "avx2"}, None),
        ({"path": "transport"}, {"WSFAST_REACTOR": "0"}, "turns the reactor off"),
        ({"path": "transport"}, {}, "this loop or system has no reactor"),
        ({"loops": []}, {}, "uvloop's transports are faster"),
        ({"backends": []}, {}, "zlib-ng compresses faster"),
        ({"deflate": "zlib"}, {}, "zlib-ng is there: compression="),
        ({"targets": [AIOHTTP]}, {}, "aiohttp can be faster: python -m wsfast"),
        ({"targets": [{**AIOHTTP, "known": False}]}, {}, "aiohttp 3 is of no version"),
        ({"targets": [{**AIOHTTP, "accelerated": True}]}, {}, None),
    ],
)
def test_advice(monkeypatch, found, variables, line):
    for name in ("WSFAST_PURE", "WSFAST_KERNEL", "WSFAST_REACTOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", "linux")
    advice = list(_advice({**GOOD, **found}))
    if line is None:
        assert advice == []
    else:
        (said,) = advice
        assert line in said
