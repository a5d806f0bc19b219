"""The transport of a session that is HTTP requests: one waits, others bring packets."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import TYPE_CHECKING, Any

from ..asgi.exchange import (
    BodyTooBig,
    ClientGone,
    Exchange,
    cross_origin,
    origin_allowed,
)
from ._packets import CLOSE, NOOP, PING, PONG, decode_payload
from .exceptions import BadPacket, Refused
from .request import Request

if TYPE_CHECKING:
    from .server import Server
    from .session import Poll, Socket

__all__ = ["answer"]

_TEXT = ("content-type", "text/plain; charset=UTF-8")
_JSON = ("content-type", "application/json")
_FRESH = ("cache-control", "no-store")

Fields = list[tuple[str, str]]


async def answer(server: Server, exchange: Exchange) -> None:
    """
    Answer a request of a client that polls, or refuse it.

    Args:
        server: The server.
        exchange: The request.

    """
    if exchange.method == "OPTIONS":
        fields = cross_origin(exchange, server.cors)
        allowed = origin_allowed(exchange.scope, server.cors)
        await exchange.respond(204 if allowed else 403, fields=fields)
        return
    request = Request(exchange.scope)
    try:
        socket = server.verify(request)
        if socket is None:
            await server.allow(request)
            socket = server.open_session(request)
            if socket.state == "closed":  # its listener has failed
                await exchange.respond(500, fields=cross_origin(exchange, server.cors))
            else:
                await _poll(exchange, socket, first=True)
        elif exchange.method == "GET":
            await _poll(exchange, socket)
        elif exchange.method == "POST":
            await _take(exchange, socket)
        else:
            fields = [("allow", "GET, POST, OPTIONS")]
            await exchange.respond(405, fields=fields)
    except Refused as exc:
        server.refused(request, exc)
        body = json.dumps({"code": int(exc.error), "message": str(exc)})
        fields = [_JSON, *cross_origin(exchange, server.cors)]
        await exchange.respond(exc.status, body.encode(), fields)


async def _respond(
    exchange: Exchange,
    socket: Socket,
    fields: Fields,
    body: bytes,
    first: bool = False,
) -> None:
    """Send an answer with what the application adds to its head."""
    server = socket.server
    fields += [_FRESH, *cross_origin(exchange, server.cors)]
    if first and server.cookie is not None:
        fields.append(("set-cookie", server.cookie.value(socket.id)))
    server.add_headers(fields, socket.request, first)
    await exchange.respond(200, body, fields)


# ---- what is sent ----


async def _poll(exchange: Exchange, socket: Socket, first: bool = False) -> None:
    """Answer with what is to be sent, once there is something."""
    if socket.is_polled:
        socket.end("transport error", "overlap from client")
        await exchange.respond(400, fields=cross_origin(exchange, socket.server.cors))
        return
    payload = socket.begin_poll()
    if isinstance(payload, tuple):
        await _answer_poll(exchange, socket, *payload, first)
        return
    gone = exchange.gone
    gone.add_done_callback(lambda _: _answer_nothing(payload))
    try:
        sent = await payload
    except asyncio.CancelledError:  # the server ends
        socket.forget_poll(payload)
        socket.end("transport close")
        raise
    finally:
        exchange.release()
    if sent is None:
        socket.forget_poll(payload)
        socket.end("transport error", "poll connection closed prematurely")
        return
    await _answer_poll(exchange, socket, *sent, first)


def _answer_nothing(payload: Poll) -> None:
    """Wake up whoever waits for something to send: the client has gone."""
    if not payload.done():
        payload.set_result(None)


async def _answer_poll(
    exchange: Exchange, socket: Socket, payload: bytes, compress: bool, first: bool
) -> None:
    fields: Fields = [_TEXT]
    threshold = socket.server.http_compression
    if compress and threshold is not None and len(payload) >= threshold:
        encoding = _encoding(exchange.field("accept-encoding"))
        if encoding:
            fields += [("content-encoding", encoding), ("vary", "Accept-Encoding")]
            payload = _compressed(payload, encoding)
    await _respond(exchange, socket, fields, payload, first)


def _encoding(accepted: str) -> str:
    """Return the encoding that a client takes (RFC 9110 §12.5.3), or ``""``."""
    taken = set()
    for part in accepted.lower().split(","):
        name, _, parameters = part.partition(";")
        weight = parameters.partition("q=")[2].strip()
        if weight.rstrip("0").rstrip(".") not in ("0", "") or not weight:
            taken.add(name.strip())
    return next((name for name in ("gzip", "deflate") if name in taken), "")


def _compressed(payload: bytes, encoding: str) -> bytes:
    # Level 1: this is done between the messages of all the other clients.
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    return compressor.compress(payload) + compressor.flush()


# ---- what is received ----


async def _take(exchange: Exchange, socket: Socket) -> None:
    """Take the packets that a request brings."""
    server = socket.server
    cors = cross_origin(exchange, server.cors)
    if socket.posting:
        socket.end("transport error", "data request overlap from client")
        await exchange.respond(400, fields=cors)
        return
    if exchange.field("content-type") == "application/octet-stream":
        socket.end("transport error", "invalid content")
        await exchange.respond(400, fields=cors)
        return
    socket.posting = True
    try:
        body = await exchange.body(server.max_body)
        for packet in decode_payload(body, server.max_packets):
            if socket.paused:
                await socket.wait_readable()
            _received(socket, packet)
    except BodyTooBig:
        if exchange.http_version.startswith("1"):  # the rest will not be read
            cors.append(("connection", "close"))
        await exchange.respond(413, fields=cors)
        return
    except ClientGone:
        socket.end("transport error", "data request connection closed prematurely")
        return
    except BadPacket as exc:
        socket.end("parse error", str(exc))
        await exchange.respond(400, fields=cors)
        return
    except asyncio.CancelledError:  # the server ends
        socket.end("transport close")
        raise
    finally:
        socket.posting = False
    await _respond(exchange, socket, [("content-type", "text/html")], b"ok")


def _received(socket: Socket, packet: Any) -> None:
    """Take one packet."""
    if socket.state == "closed":
        return
    if socket.watched:
        socket.heard()
    if isinstance(packet, bytes) or packet[:1] == "4":
        if socket.state != "open":
            return
        try:
            socket.listener.on_message(
                packet if isinstance(packet, bytes) else packet[1:]
            )
        except Exception as exc:
            socket.failed(exc)
    elif packet[:1] == PONG:
        socket.pong_received()
    elif packet == CLOSE:
        socket.end("transport close", packet=NOOP)
    elif packet[:1] == PING:
        socket.end("transport error", "invalid heartbeat direction")
