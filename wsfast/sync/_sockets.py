"""Opening sockets within a deadline that covers everything."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import threading
import time
from typing import Any

__all__ = ["Deadline", "open_tcp", "open_unix"]


class Deadline:
    """
    A time by which several steps together have to be done.

    Args:
        timeout: Seconds from now; None for no limit.

    """

    def __init__(self, timeout: float | None) -> None:
        self._when = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """
        Return how many seconds are left, None for no limit.

        Raises:
            TimeoutError: None are.

        """
        if self._when is None:
            return None
        left = self._when - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


def open_unix(path: str | os.PathLike[str], deadline: Deadline) -> socket.socket:
    """Connect to a UNIX socket."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(deadline.left())
        sock.connect(os.fspath(path))
    except BaseException:
        sock.close()
        raise
    return sock


def open_tcp(
    host: str,
    port: int,
    deadline: Deadline,
    source_address: tuple[str, int] | None = None,
) -> socket.socket:
    """
    Connect to a host: to the first of its addresses that accepts.

    Args:
        host: Name or address.
        port: Port.
        deadline: For name and connection together.
        source_address: Address to connect from.

    Raises:
        OSError: There is no such host, or none of its addresses accepts.
        TimeoutError: The deadline has passed.

    """
    failure: OSError | None = None
    for family, kind, proto, _, address in _resolve(host, port, deadline):
        sock = socket.socket(family, kind, proto)
        try:
            sock.settimeout(deadline.left())
            if source_address is not None:
                sock.bind(source_address)
            sock.connect(address)
        except OSError as exc:
            sock.close()
            if isinstance(exc, TimeoutError):
                raise
            failure = exc
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure or OSError(f"no address for {host!r}")


def _resolve(host: str, port: int, deadline: Deadline) -> list[Any]:
    """Return what ``getaddrinfo()`` does, but not after the deadline."""

    def look_up() -> list[Any]:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    left = deadline.left()
    if left is None:
        return look_up()
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return look_up()  # that asks nobody
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(look_up())
        except BaseException as exc:
            found.append(exc)

    # The system's resolver can't be interrupted, only left alone.
    thread = threading.Thread(target=run, name="wsfast-resolver", daemon=True)
    thread.start()
    thread.join(left)
    if not found:
        raise TimeoutError("timed out")
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]  # type: ignore[no-any-return]
