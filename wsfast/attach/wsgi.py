"""
The sockets of WSGI servers: how to get one, and how to keep its owner away from it.

gunicorn (workers ``gthread``, ``gevent``, ``gevent_pywsgi``), gevent's ``pywsgi`` and
werkzeug leave the client's socket where an application can find it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from typing import Any

from ..sync._stream import RECV_SIZE

__all__ = ["Taken", "socket_of"]

NO_SOCKET = (
    "this WSGI server does not let its applications have the socket; those that do: "
    "gunicorn (gthread, gevent), gevent.pywsgi, werkzeug"
)


class Taken:
    """
    What a WSGI server gets instead of a response once its socket was taken over.

    Asking for the first piece of the body raises ConnectionResetError. To every server
    that means that its client has gone, as it has: it writes nothing, closes the
    socket, and does not log an error.
    """

    def __iter__(self) -> Taken:
        return self

    def __next__(self) -> bytes:
        raise ConnectionResetError(errno.ECONNRESET, "the WebSocket has ended")


def socket_of(environ: Mapping[str, Any]) -> tuple[socket.socket, bytes]:
    """
    Return the socket of a request, with the octets that were read from it already.

    Args:
        environ: The WSGI environ.

    Raises:
        RuntimeError: The server does not let us have it.

    """
    body = environ.get("wsgi.input")
    sock = environ.get("gunicorn.socket")
    if sock is not None:
        unreader = getattr(getattr(body, "reader", None), "unreader", None)
        return sock, b"" if unreader is None else _drain_unreader(unreader)
    file = getattr(body, "rfile", body)  # of pywsgi; werkzeug has the file itself
    sock = environ.get("werkzeug.socket")
    if sock is None:
        sock = getattr(getattr(file, "raw", None), "_sock", None)
    if sock is None or not hasattr(sock, "recv"):
        raise RuntimeError(NO_SOCKET)
    return sock, _drain_file(file, sock)


def _drain_unreader(unreader: Any) -> bytes:
    """Take what gunicorn has read ahead."""
    if hasattr(unreader, "take_buffered"):
        return bytes(unreader.take_buffered())
    octets, unreader.buf = unreader.buf.getvalue(), type(unreader.buf)()
    return bytes(octets)


def _drain_file(file: Any, sock: socket.socket) -> bytes:
    """Take what a buffered file has read of its socket, without waiting for more."""
    read = getattr(file, "read1", None)
    if read is None:
        return b""
    timeout = sock.gettimeout()
    sock.settimeout(0.0)
    try:
        return bytes(read(RECV_SIZE) or b"")
    except OSError:  # ssl.SSLWantReadError, or it is gone, as recv() will tell
        return b""
    finally:
        sock.settimeout(timeout)
