"""TCP connections to a name: its addresses are tried in a race (RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from ..protocol.addresses import ATTEMPT_DELAY_S, Info, interleaved, none_answers

__all__ = ["open_tcp"]


async def open_tcp(
    host: str,
    port: int,
    *,
    family: int = socket.AF_UNSPEC,
    proto: int = 0,
    flags: int = 0,
    local_addr: tuple[str, int] | None = None,
    happy_eyeballs_delay: float | None = ATTEMPT_DELAY_S,
    interleave: int = 1,
) -> socket.socket:
    """
    Connect to the first address of a host that answers.

    The event loops do this too, but not all of them, and not by default.

    Args:
        host: Name or address.
        port: Port.
        family: ``AF_INET`` or ``AF_INET6`` for one of them only.
        proto: Protocol, for :func:`socket.getaddrinfo`.
        flags: Flags, for :func:`socket.getaddrinfo`.
        local_addr: Address and port to connect from.
        happy_eyeballs_delay: Seconds after which the next address is tried while the
            one before has not answered; None to wait for its failure.
        interleave: Addresses of the first family to try before those of the families
            take turns; 0 to keep the order of the system.

    Returns:
        A connected socket that does not block.

    Raises:
        OSError: The name has no address, or none answers.

    """
    infos = await _addresses(host, port, family, proto, flags)
    sources = None
    if local_addr is not None:
        sources = await _addresses(*local_addr, family, proto, flags)
    if interleave:
        infos = interleaved(infos, interleave)
    if len(infos) == 1:
        return await _attempt(infos[0], sources)
    return await _race(infos, sources, happy_eyeballs_delay)


async def _addresses(
    host: str, port: int, family: int, proto: int, flags: int
) -> list[Info]:
    """Look a name up; an address is taken as it is, without another thread."""
    try:
        known = socket.getaddrinfo(
            host,
            port,
            family=family,
            type=socket.SOCK_STREAM,
            proto=proto,
            flags=flags | socket.AI_NUMERICHOST,
        )
        return cast("list[Info]", known)
    except (socket.gaierror, UnicodeError):
        pass
    infos = await asyncio.get_running_loop().getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags
    )
    if not infos:
        raise OSError(f"no address of {host!r} was found")
    return cast("list[Info]", infos)


async def _race(
    infos: list[Info], sources: list[Info] | None, delay: float | None
) -> socket.socket:
    """Try addresses one after another, each with a head start over the next."""
    loop = asyncio.get_running_loop()
    left = iter(infos)
    tasks: list[asyncio.Task[socket.socket]] = []
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    winner: asyncio.Task[socket.socket] | None = None
    more = True
    try:
        while winner is None:
            info = next(left, None)
            if info is not None:
                task = loop.create_task(_attempt(info, sources))
                tasks.append(task)
                running.add(task)
            elif not running:
                raise none_answers(errors)
            more = info is not None
            done, running = await asyncio.wait(
                running,
                timeout=delay if more else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                exc = task.exception()
                if exc is None:
                    winner = winner or task
                elif isinstance(exc, OSError):
                    errors.append(exc)
                else:
                    raise exc
        return winner.result()
    finally:
        losers = [task for task in tasks if task is not winner]
        for task in losers:
            task.cancel()
        for result in await asyncio.gather(*losers, return_exceptions=True):
            if isinstance(result, socket.socket):
                result.close()


async def _attempt(info: Info, sources: list[Info] | None) -> socket.socket:
    """Connect to one address."""
    family, kind, proto, _, address = info
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sources is not None:
            _bind(sock, sources)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, sources: list[Info]) -> None:
    """Bind a socket to the first local address that it can have."""
    failure = OSError("no local address of this family")
    for family, _, _, _, address in sources:
        if family != sock.family:
            continue
        try:
            sock.bind(address)
        except OSError as exc:
            text = f"cannot connect from {address}: {exc.strerror}"
            failure = OSError(exc.errno, text)
        else:
            return
    raise failure
