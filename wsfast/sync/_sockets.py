"""Opening sockets within a deadline that covers everything."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import selectors
import socket
import threading
import time
from typing import cast

from ..protocol.addresses import ATTEMPT_DELAY_S, Info, interleaved, none_answers

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
    Connect to the first address of a host that answers.

    Args:
        host: Name or address.
        port: Port.
        deadline: For name and connection together.
        source_address: Address to connect from.

    Raises:
        OSError: There is no such host, or none of its addresses accepts.
        TimeoutError: The deadline has passed.

    """
    infos = _resolve(host, port, deadline)
    if not infos:
        raise OSError(f"no address of {host!r} was found")
    if len(infos) > 1:
        return _race(interleaved(infos), deadline, source_address)
    family, kind, proto, _, address = infos[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.settimeout(deadline.left())
        if source_address is not None:
            sock.bind(source_address)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _race(
    infos: list[Info], deadline: Deadline, source_address: tuple[str, int] | None
) -> socket.socket:
    """Try addresses one after another, each with a head start over the next."""
    waiting = iter(infos)
    running: set[socket.socket] = set()
    errors: list[OSError] = []
    try:
        with selectors.DefaultSelector() as selector:
            while True:
                info = next(waiting, None)
                if info is not None:
                    try:
                        sock = _begin(info, source_address)
                    except OSError as exc:
                        errors.append(exc)
                        continue
                    running.add(sock)
                    selector.register(sock, selectors.EVENT_WRITE)
                elif not running:
                    raise none_answers(errors)
                left = deadline.left()
                if info is not None and (left is None or left > ATTEMPT_DELAY_S):
                    left = ATTEMPT_DELAY_S
                for key, _ in selector.select(left):
                    sock = cast("socket.socket", key.fileobj)
                    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not number:
                        sock.setblocking(True)
                        running.discard(sock)
                        return sock
                    selector.unregister(sock)
                    running.discard(sock)
                    sock.close()
                    errors.append(OSError(number, os.strerror(number)))
    finally:
        for sock in running:
            sock.close()


def _begin(info: Info, source_address: tuple[str, int] | None) -> socket.socket:
    """Begin to connect to an address; when that is done, one can write."""
    family, kind, proto, _, address = info
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        if source_address is not None:
            sock.bind(source_address)
        with contextlib.suppress(BlockingIOError):
            sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _resolve(host: str, port: int, deadline: Deadline) -> list[Info]:
    """Return what ``getaddrinfo()`` does, but not after the deadline."""

    def look_up() -> list[Info]:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return cast("list[Info]", infos)

    left = deadline.left()
    if left is None:
        return look_up()
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return look_up()  # that asks nobody
    found: list[list[Info] | BaseException] = []

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
    return found[0]
