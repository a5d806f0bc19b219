"""Listening sockets, bound here: the reactor and asyncio serve the same ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = [
    "close_socket",
    "inode_of",
    "open_tcp_sockets",
    "open_unix_socket",
    "prepare_socket",
]

Hosts = str | Sequence[str] | None


async def open_tcp_sockets(
    host: Hosts,
    port: int | str | None,
    *,
    family: int = socket.AF_UNSPEC,
    flags: int = socket.AI_PASSIVE,
    reuse_address: bool | None = None,
    reuse_port: bool = False,
) -> list[socket.socket]:
    """
    Bind a socket to every address of every host; none of them listens yet.

    Args:
        host: Name or address, or several; ``None`` or ``""`` for all interfaces.
        port: Port number or service name; 0 or ``None`` for one that the system picks.
        family: ``AF_INET`` or ``AF_INET6`` for one of them only.
        flags: Flags of :func:`socket.getaddrinfo`.
        reuse_address: Bind although old connections linger on the address; by default
            where that is safe, which is everywhere but on Windows.
        reuse_port: Let several processes listen on the same address.

    Raises:
        OSError: An address cannot be found or bound; nothing stays open then.

    """
    loop = asyncio.get_running_loop()
    names: Iterable[str | None]
    names = [host or None] if host is None or isinstance(host, str) else host
    found = await asyncio.gather(
        *(
            loop.getaddrinfo(
                name, port or 0, family=family, type=socket.SOCK_STREAM, flags=flags
            )
            for name in names
        )
    )
    addresses = dict.fromkeys(info for infos in found for info in infos)
    if reuse_address is None:
        reuse_address = os.name == "posix" and sys.platform != "cygwin"
    sockets: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for af, kind, proto, _, address in addresses:
            try:
                sock = socket.socket(af, kind, proto)
            except OSError:
                continue  # the system has addresses of a family that it cannot serve
            undo.callback(sock.close)
            if reuse_address:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if af == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind(address)
            except OSError as exc:
                raise OSError(
                    exc.errno, f"cannot bind {address}: {exc.strerror}"
                ) from None
            sockets.append(sock)
        if not sockets:
            raise OSError(f"no address to bind for {host!r}")
        undo.pop_all()
    for sock in sockets:
        prepare_socket(sock)
    return sockets


def open_unix_socket(path: str | os.PathLike[str]) -> socket.socket:
    """
    Bind a UNIX socket at ``path``; a socket that is there already is replaced.

    Raises:
        OSError: The path cannot be bound.

    """
    name = os.fspath(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not name.startswith("\0"):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISSOCK(Path(name).stat().st_mode):
                    Path(name).unlink()
        sock.bind(name)
    except OSError as exc:
        sock.close()
        raise OSError(exc.errno, f"cannot bind {name!r}: {exc.strerror}") from None
    prepare_socket(sock)
    return sock


def prepare_socket(sock: socket.socket) -> None:
    """Make a socket ready to listen; what it accepts inherits TCP_NODELAY from it."""
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"a stream socket was expected, got {sock!r}")
    sock.setblocking(False)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def inode_of(sock: socket.socket) -> tuple[str, int] | None:
    """Return path and inode of a bound UNIX socket that lives in the file system."""
    if sock.family != getattr(socket, "AF_UNIX", None):
        return None
    path = sock.getsockname()
    if not path or not isinstance(path, str) or path.startswith("\0"):
        return None
    try:
        return path, Path(path).stat().st_ino
    except OSError:
        return None


def close_socket(sock: socket.socket, inode: tuple[str, int] | None = None) -> None:
    """Close a listening socket, and remove its path unless that is another's by now."""
    sock.close()
    if inode is not None:
        path, number = inode
        with contextlib.suppress(OSError):
            if Path(path).stat().st_ino == number:
                Path(path).unlink()
