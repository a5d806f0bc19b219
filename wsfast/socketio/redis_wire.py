"""What nodes say by npm's ``@socket.io/redis-adapter``, 7 and 8; never pickled."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from ._parts import nesting
from .msgpack import deeper_than, pack, unpack
from .packet import BINARY_EVENT, EVENT, MAX_NESTING, Packet, PacketError
from .remote import description_of
from .targets import Target

if TYPE_CHECKING:
    from .socket import Socket

__all__ = [
    "ALL_ROOMS",
    "BROADCAST",
    "BROADCAST_ACK",
    "BROADCAST_CLIENT_COUNT",
    "REMOTE_DISCONNECT",
    "REMOTE_FETCH",
    "REMOTE_JOIN",
    "REMOTE_LEAVE",
    "SERVER_SIDE_EMIT",
    "SOCKETS",
    "clients_of",
    "details_of",
    "fields_of",
    "for_json",
    "names_of",
    "number_of",
    "options_of",
    "packet_of",
    "read_event",
    "read_message",
    "target_of",
    "text_of",
    "write_event",
    "write_json",
]

SOCKETS: Final = 0
ALL_ROOMS: Final = 1
REMOTE_JOIN: Final = 2
REMOTE_LEAVE: Final = 3
REMOTE_DISCONNECT: Final = 4
REMOTE_FETCH: Final = 5
SERVER_SIDE_EMIT: Final = 6
BROADCAST: Final = 7
BROADCAST_CLIENT_COUNT: Final = 8
BROADCAST_ACK: Final = 9

#: Longest time limit that another node is believed, in seconds.
MAX_TIMEOUT_S: Final = 86_400.0
#: What is around an event of `MAX_NESTING` levels: message, packet.
AROUND: Final = 2


def write_json(fields: dict[str, Any]) -> bytes:
    """
    Write a request or a response.

    Raises:
        TypeError, ValueError: JSON cannot hold it.

    """
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()


def read_message(octets: bytes, around: int = AROUND) -> dict[str, Any]:
    """
    Read a request or a response: JSON, or msgpack.

    Args:
        octets: What came.
        around: Levels that are around an event.

    Raises:
        PacketError: It is neither, or not a map, or nested too deep.

    """
    if octets[:1] == b"{":
        try:
            text = octets.decode()
            if nesting(text, 0) > MAX_NESTING + around:
                raise PacketError(f"more than {MAX_NESTING} levels", "nesting")
            fields = json.loads(text)
        except PacketError:
            raise
        except (ValueError, RecursionError) as exc:
            raise PacketError(f"invalid JSON: {exc}", "json") from exc
    else:
        fields = unpack(octets)
        if deeper_than(fields, MAX_NESTING + around):
            raise PacketError(f"more than {MAX_NESTING} levels", "nesting")
    if type(fields) is not dict:
        raise PacketError("a message is a map", "payload")
    return fields


def write_event(uid: str, packet: Packet, target: Target) -> bytes:
    """
    Write an event to many.

    Raises:
        PacketError: It is nested too deep.
        TypeError, ValueError: msgpack cannot hold it.

    """
    return pack([uid, fields_of(packet), options_of(target)])


def read_event(
    octets: bytes, namespace: str, uid: str, dates: bool = False
) -> tuple[Packet, Target] | None:
    """
    Read an event to many.

    Args:
        octets: What came.
        namespace: Where.
        uid: Whose messages are left out: our own.
        dates: Whether times stay as they are; see `packet_of`.

    Returns:
        The event and whom it is for; None if it is not for us.

    Raises:
        PacketError: It is none.

    """
    if octets.startswith(b"\x93" + pack(uid)):  # it need not be read
        return None
    message = unpack(octets)
    if type(message) is not list or len(message) < 3:
        raise PacketError("an event to many is an array of three", "payload")
    packet, options = message[1:3]
    if type(packet) is not dict or type(options) is not dict:
        raise PacketError("packet and options are maps", "payload")
    if packet.get("nsp", "/") != namespace:
        return None
    return packet_of(packet, namespace, dates), target_of(options)


def fields_of(packet: Packet) -> dict[str, Any]:
    """Return a packet as fields; its id is a matter of each node."""
    return {"type": packet.type, "data": packet.data, "nsp": packet.namespace}


def packet_of(fields: Any, namespace: str, dates: bool = False) -> Packet:
    """
    Return the event in fields.

    Args:
        fields: As they came.
        namespace: Where.
        dates: Whether times stay as they are. JSON has none: they become texts, and
            what is no number None, as JavaScript writes them.

    Raises:
        PacketError: There is none.

    """
    if type(fields) is not dict or fields.get("type") not in (EVENT, BINARY_EVENT):
        raise PacketError("not an event", "type")
    data = fields.get("data")
    if deeper_than(data, MAX_NESTING):
        raise PacketError(f"more than {MAX_NESTING} levels", "nesting")
    if not dates:
        data = for_json(data)
    return Packet(EVENT, namespace, data).check()


def for_json(value: Any) -> Any:
    """Return a value of msgpack, not nested too deep, as JSON with octets holds it."""
    kind = type(value)
    if kind is list:
        return [for_json(item) for item in value]
    if kind is dict:
        return {text_of(key): for_json(item) for key, item in value.items()}
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is datetime:
        text: str = value.astimezone(timezone.utc).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")
    if value is None or kind in (str, bytes, int, bool):
        return value
    raise PacketError(f"a value of type {kind.__name__}", "payload")


def options_of(target: Target) -> dict[str, Any]:
    """Return a target as options."""
    flags: dict[str, Any] = {}
    if target.volatile:
        flags["volatile"] = True
    if target.compress is not None:
        flags["compress"] = target.compress
    if target.timeout is not None:
        flags["timeout"] = int(target.timeout * 1000)
    rooms, left_out = sorted(target.rooms), sorted(target.except_)
    return {"rooms": rooms, "except": left_out, "flags": flags}


def target_of(options: Any) -> Target:
    """
    Return options as a target.

    Raises:
        PacketError: They are none.

    """
    if type(options) is not dict:
        raise PacketError("options are a map", "payload")
    flags = options.get("flags") or {}
    if type(flags) is not dict:
        raise PacketError("flags are a map", "payload")
    compress, limit = flags.get("compress"), flags.get("timeout")
    timeout = None
    if isinstance(limit, (int, float)) and limit >= 0:
        timeout = min(limit / 1000, MAX_TIMEOUT_S)
    return Target(
        names_of(options.get("rooms")),
        names_of(options.get("except")),
        flags.get("volatile") is True,
        compress if type(compress) is bool else None,
        local=True,
        timeout=timeout,
    )


def names_of(value: Any) -> frozenset[str]:
    """
    Return rooms; JavaScript has some that are numbers, of which the text is taken.

    Raises:
        PacketError: They are none.

    """
    if value is None:
        return frozenset()
    if type(value) is not list or not all(type(n) in (str, int, float) for n in value):
        raise PacketError("rooms are an array of names", "payload")
    return frozenset(map(str, value))


def text_of(value: Any) -> str:
    """
    Return a text.

    Raises:
        PacketError: It is none.

    """
    if type(value) is not str:
        raise PacketError(f"{type(value).__name__} where a text was due", "payload")
    return value


def number_of(value: Any) -> int:
    """
    Return a number that counts.

    Raises:
        PacketError: It is none.

    """
    if type(value) is not int or value < 0:
        raise PacketError("a number was due", "payload")
    return value


def clients_of(value: Any) -> list[dict[str, Any]]:
    """
    Return the clients that another node has.

    Raises:
        PacketError: They are none.

    """
    if type(value) is not list or not all(type(told) is dict for told in value):
        raise PacketError("clients are an array of maps", "payload")
    found = []
    for told in value:
        ident, rooms = text_of(told.get("id")), names_of(told.get("rooms"))
        data, handshake = told.get("data") or {}, told.get("handshake") or {}
        if type(data) is not dict or type(handshake) is not dict:
            raise PacketError("data and handshake are maps", "payload")
        found.append({"id": ident, "rooms": rooms, "data": data})
        found[-1]["handshake"] = handshake
    return found


def details_of(socket: Socket) -> dict[str, Any]:
    """Return what other nodes are told of a client, in the form of a JavaScript one."""
    details = description_of(socket)
    handshake = details["handshake"]
    address, seconds = handshake["address"], handshake["time"]
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    handshake.update(
        address=address[0] if address else "",
        time=moment.strftime("%a %b %d %Y %H:%M:%S GMT+0000"),
        issued=int(seconds * 1000),
        xdomain="origin" in socket.handshake.headers,
    )
    return details
