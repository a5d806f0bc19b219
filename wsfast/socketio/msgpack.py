"""The parser of npm's socket.io-msgpack-parser: one binary message a packet."""

from __future__ import annotations

from typing import Any, cast

try:
    import msgpack
except ImportError as exc:  # pragma: no cover - the tests have it
    raise ImportError("this parser needs msgpack: pip install msgpack") from exc

from .packet import CONNECT_ERROR, MAX_ID, MAX_NESTING, Packet, PacketError

__all__ = ["MsgpackParser", "deeper_than", "pack", "unpack"]


class MsgpackParser:
    """
    Packets as msgpack maps of ``type``, ``nsp``, ``data`` and ``id``.

    Octets need no attachments here. A timestamp of msgpack (its type -1) becomes a
    ``datetime``, and a ``datetime`` with a time zone one of those; what JavaScript
    calls undefined is None.
    """

    def encode(self, packet: Packet) -> list[str | bytes]:
        """Return the message of a packet."""
        fields: dict[str, Any] = {"type": packet.type, "nsp": packet.namespace}
        if packet.data is not None:
            fields["data"] = packet.data
        if packet.id is not None:
            fields["id"] = packet.id
        return [pack(fields)]

    def decoder(self) -> MsgpackParser:
        """Return a decoder for one connection; it keeps nothing, so it is this one."""
        return self

    def feed(self, message: str | bytes) -> Packet:
        """Take a message; return its packet."""
        if isinstance(message, str):
            raise PacketError("text, where msgpack is binary", "msgpack")
        fields = unpack(message)
        if type(fields) is not dict:
            raise PacketError("a packet is a map", "msgpack")
        kind, namespace = fields.get("type"), fields.get("nsp")
        number, data = fields.get("id"), fields.get("data")
        if type(kind) is not int or not 0 <= kind <= CONNECT_ERROR:
            raise PacketError("unknown packet type", "type")
        if type(namespace) is not str:
            raise PacketError("the namespace is a string", "namespace")
        if number is not None and not (type(number) is int and 0 <= number <= MAX_ID):
            raise PacketError("the id is an integer of at most 2 ** 53", "id")
        if deeper_than(data, MAX_NESTING):
            raise PacketError(f"more than {MAX_NESTING} levels", "nesting")
        return Packet(kind, namespace, data, number).check()


def pack(value: Any) -> bytes:
    """
    Write msgpack.

    Raises:
        PacketError: It is nested too deep.
        TypeError, ValueError: It has no form in msgpack.

    """
    try:
        return cast(bytes, msgpack.packb(value, datetime=True))
    except RecursionError as exc:
        raise PacketError("nested too deep, or a cycle", "nesting") from exc
    except ValueError as exc:
        if "recursion" in str(exc):
            raise PacketError("nested too deep, or a cycle", "nesting") from exc
        raise


def unpack(octets: bytes) -> Any:
    """
    Read msgpack, as deep as it is; see `deeper_than`.

    Raises:
        PacketError: It is none.

    """
    try:
        return msgpack.unpackb(octets, timestamp=3, ext_hook=_extension)
    except PacketError:
        raise
    except Exception as exc:  # of many classes, some of them the package's own
        raise PacketError(f"invalid msgpack: {exc}", "msgpack") from exc


def _extension(code: int, data: bytes) -> Any:
    """
    Read what JavaScript's notepack.io writes as type 0: undefined, and ArrayBuffers.

    An ArrayBuffer of one octet that is zero cannot be told from undefined here.
    """
    if code == 0:
        return None if data == b"\x00" else data
    return msgpack.ExtType(code, data)


def deeper_than(data: Any, most: int) -> bool:
    """Tell whether more than so many arrays and maps lie within each other."""
    layer = [data] if isinstance(data, (list, dict)) else []
    for _ in range(most):
        layer = [
            item
            for each in layer
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, (list, dict))
        ]
        if not layer:
            return False
    return bool(layer)
