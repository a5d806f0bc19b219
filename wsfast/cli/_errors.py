"""What went wrong, in one line that says what to do."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from typing import Any

from wsfast.exceptions import (
    ConnectionClosed,
    HandshakeTimeout,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
    WebSocketException,
)
from wsfast.protocol.closing import CloseCode
from wsfast.protocol.proxy import environment_proxy
from wsfast.protocol.uri import parse_uri

from ._terminal import one_line

__all__ = ["CommandError", "closing", "error_of", "explain"]

#: What to do about an HTTP status.
HINTS = {
    200: "this is a web page; is the path right?",
    400: "the server did not like the request; see it with --verbose",
    401: "--auth USER:PASSWORD or --header 'Authorization: ...' says who you are",
    403: "it may want --auth, or the right --origin",
    404: "is the path right?",
    407: "give the proxy's user and password in its URL",
    426: "the server wants another protocol or version",
    429: "the server wants to be asked less often",
    502: "the server behind the proxy does not answer; is it running?",
    503: "the server is busy or going down; try again later",
}

#: What to do about a failed system call.
SYSTEM = {
    errno.ECONNREFUSED: "nobody listens there: is the server running, the port right?",
    errno.ECONNRESET: "the other side cut the connection",
    errno.EHOSTUNREACH: "no way leads there: is the network up, the address right?",
    errno.ENETUNREACH: "no way leads there: is the network up, the address right?",
    errno.EMFILE: "too many open files: raise the limit with ulimit -n",
    errno.EADDRINUSE: "somebody listens there already: stop that, or give another port",
    errno.EADDRNOTAVAIL: "no address of this machine, or no port is left",
    errno.EACCES: "not allowed: ports below 1024 belong to root",
    errno.ENOENT: "there is no such file",
}


class CommandError(Exception):
    """
    The reason to end a command with a line on standard error.

    Args:
        text: The line.
        status: Exit status: 1, or 2 where the command line is wrong.

    """

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


def error_of(exc: BaseException, uri: str, proxy: Any = None) -> CommandError:
    """
    Return what to say of an error of ``connect()``.

    Args:
        exc: The error.
        uri: What was to be connected to.
        proxy: As for ``connect()``.

    """
    wrong = isinstance(exc, (InvalidURI, InvalidProxy, ValueError, TypeError))
    wrong = wrong and not isinstance(exc, (InvalidHandshake, OSError))
    if proxy is True:
        with contextlib.suppress(WebSocketException):
            proxy = environment_proxy(parse_uri(uri))
    place = without_password(uri)
    if isinstance(proxy, str):
        place += f" through {without_password(proxy)}"
    return CommandError(explain(exc, place), 2 if wrong else 1)


def explain(exc: BaseException, place: str) -> str:
    """Return an error as one line that says what to do."""
    if isinstance(exc, InvalidURI):
        return one_line(f"{exc}; write it as ws://HOST:PORT/PATH or wss://HOST/PATH")
    if isinstance(exc, InvalidProxy):
        return one_line(f"{exc}; write it as http://HOST:PORT or socks5://HOST:PORT")
    if isinstance(exc, ImportError):
        return one_line(str(exc))
    return one_line(f"{place}: {_reason(exc)}")


def _reason(exc: BaseException) -> str:
    if isinstance(exc, (InvalidStatus, InvalidProxyStatus)):
        return _refusal(exc)
    if isinstance(exc, (HandshakeTimeout, TimeoutError)) and _errno(exc) is None:
        return "no answer in time; --timeout SECONDS waits longer"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return (
            f"the certificate is not trusted: {exc.verify_message}; --cacert FILE "
            "trusts who signed it, --no-check trusts anybody"
        )
    if isinstance(exc, ssl.SSLError):
        said = exc.reason or str(exc)
        if said == "WRONG_VERSION_NUMBER":
            return "the server does not speak TLS there; with ws:// it may answer"
        return f"TLS failed: {said}"
    if isinstance(exc, socket.gaierror):
        return f"unknown host: {exc.strerror}; is the name right, the network up?"
    if isinstance(exc, ProxyError):
        return f"{exc}; --no-proxy goes without"
    if isinstance(exc, InvalidMessage):
        return _malformed(exc)
    if isinstance(exc, InvalidHandshake):
        return f"not a proper opening handshake: {exc}"
    if isinstance(exc, OSError):
        return _system(exc)
    return str(exc) or type(exc).__name__


def _refusal(exc: InvalidStatus | InvalidProxyStatus) -> str:
    response = exc.response
    status = response.status_code
    body = bytes(response.body or b"")
    first = next((line for line in body.splitlines() if line.strip()), b"")
    who = "the proxy" if isinstance(exc, InvalidProxyStatus) else "the server"
    text = f"{who} answers HTTP {status:d} {response.reason_phrase}".rstrip()
    if first:
        text += f": {first[:200].decode('utf-8', 'replace').strip()}"
    return f"{text} ({HINTS[status]})" if status in HINTS else text


def _malformed(exc: InvalidMessage) -> str:
    cause = exc.__cause__
    if isinstance(cause, (EOFError, ConnectionError)):
        return (
            "the connection ended before an answer: no WebSocket server, or one that "
            "wants wss:// in place of ws://"
        )
    said = f" ({cause})" if cause is not None and str(cause) else ""
    return f"the answer is not HTTP: this is no WebSocket server{said}"


def _errno(exc: BaseException) -> int | None:
    return getattr(exc, "errno", None)


def _system(exc: OSError) -> str:
    number = _first_errno(exc)
    if number in SYSTEM:
        return SYSTEM[number]
    return exc.strerror or str(exc) or type(exc).__name__


def _first_errno(exc: OSError) -> int | None:
    """Return the number of an error, or of the first of several that it sums up."""
    if exc.errno is None:
        each: Any
        for each in getattr(exc, "exceptions", None) or [exc.__cause__]:
            if isinstance(each, OSError):
                return _first_errno(each)
    return exc.errno


def without_password(uri: str) -> str:
    """Return a URI without user and password, to be shown."""
    scheme, there, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{there}{host.rpartition('@')[2]}{slash}{path}"


def closing(exc: ConnectionClosed) -> str:
    """Return how a connection was closed, in one line."""
    received, sent = exc.rcvd, exc.sent
    if received is not None and (sent is None or exc.rcvd_then_sent):
        return one_line(f"closed by the server with {received}")
    if sent is None:
        return "cut off by the other side, without a closing handshake (1006)"
    text = f"closed with {sent}"
    if sent.code == CloseCode.MESSAGE_TOO_BIG:
        text += "; --max-size takes larger messages"
    if received is None:
        text += "; the server did not answer that"
    return one_line(text)
