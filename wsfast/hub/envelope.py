"""
What nodes say to each other: one version, known kinds, checked fields, a limit.

An envelope is an array of four: the version, the ID of the node that sent it, its kind,
and its fields by name. It is written as JSON or as msgpack, and read as what it is.
Nothing in it is ever code: what is not exactly as its schema says is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from ..exceptions import WebSocketException

__all__ = ["Codec", "Envelope", "EnvelopeError", "Schema", "new_node_id"]

VERSION: Final = 1

#: The fields of a kind: by name, a type among ``str``, ``int``, ``float``, ``bool``,
#: ``bytes``, ``dict`` and ``list``; ``object`` for whatever JSON can hold; ``[type]``
#: for a list of such; or a tuple of these, in which None says that it may be missing.
Schema = Mapping[str, Any]

#: Levels of arrays and objects in a field.
MAX_DEPTH: Final = 100
_PLAIN: Final = (str, int, float, bool)
_NODE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OTHER: Final = "is of another kind than the schema says"


class EnvelopeError(WebSocketException, ValueError):
    """An envelope is not what its schema says, or is too long."""


class Envelope(NamedTuple):
    """
    What a node has said.

    Attributes:
        node: ID of that node.
        kind: What it is about.
        fields: By name; those that were left out are None.

    """

    node: str
    kind: str
    fields: dict[str, Any]


def new_node_id() -> str:
    """Return an ID that no other node has: 128 random bits."""
    return secrets.token_urlsafe(16)


class Codec:
    """
    Writes and reads envelopes.

    Args:
        node: ID of this node: letters, digits, ``-`` and ``_``, at most 64.
        kinds: The schema of each kind.
        format: ``"json"``, or ``"msgpack"``, which has to be installed for it, also on
            the nodes that read.
        max_size: Most octets of an envelope.

    Attributes:
        refused: How many envelopes were not understood.

    Raises:
        ValueError: An argument is out of its range.
        ImportError: msgpack is wanted and not installed.

    """

    def __init__(
        self,
        node: str,
        kinds: Mapping[str, Schema],
        *,
        format: Literal["json", "msgpack"] = "json",  # noqa: A002 - what it is
        max_size: int = 1 << 20,
    ) -> None:
        if not _NODE.fullmatch(node):
            raise ValueError(f"a node's ID is 1 to 64 of A-Z a-z 0-9 - _: {node!r}")
        if format not in ("json", "msgpack"):
            raise ValueError(f"format must be json or msgpack, got {format!r}")
        if max_size < 1:
            raise ValueError("max_size must be positive")
        self.node: Final = node
        self.format: Final = format
        self.max_size: Final = max_size
        self.refused = 0
        self._kinds = {kind: _checks(fields) for kind, fields in kinds.items()}
        self._msgpack = format == "msgpack"
        self._own_json = f'[{VERSION},"{node}",'.encode()
        self._own_msgpack = b""
        if self._msgpack:
            packed: bytes = _msgpack().packb([VERSION, node])
            self._own_msgpack = b"\x94" + packed[1:]

    def encode(self, kind: str, /, **fields: Any) -> bytes:
        """
        Write an envelope of this node.

        Args:
            kind: One of the kinds.
            fields: Its fields; None leaves one out.

        Raises:
            EnvelopeError: It is not what the schema says, or too long.

        """
        checks = self._checks_of(kind)
        given = {name: value for name, value in fields.items() if value is not None}
        self._check(kind, checks, given)
        if not self._msgpack:
            for name, check in checks.items():
                if check.octets and name in given:
                    given[name] = _to_base64(given[name])
        envelope = [VERSION, self.node, kind, given]
        try:
            if self._msgpack:
                octets: bytes = _msgpack().packb(envelope)
            else:
                octets = json.dumps(
                    envelope,
                    ensure_ascii=False,
                    allow_nan=False,
                    separators=(",", ":"),
                ).encode()
        except (TypeError, ValueError, OverflowError, RecursionError) as exc:
            raise EnvelopeError(f"{kind} cannot be written: {exc}") from exc
        if len(octets) > self.max_size:
            raise EnvelopeError(f"{len(octets)} octets, limit is {self.max_size}")
        return octets

    def decode(self, octets: bytes) -> Envelope | None:
        """
        Read an envelope.

        Returns:
            The envelope; None if this node has sent it itself.

        Raises:
            EnvelopeError: It is none, or not what the schema says, or too long, or of
                another version.

        """
        if octets.startswith(self._own_json) or (
            self._msgpack and octets.startswith(self._own_msgpack)
        ):
            return None
        try:
            return self._decode(octets)
        except EnvelopeError:
            self.refused += 1
            raise

    def _decode(self, octets: bytes) -> Envelope | None:
        if len(octets) > self.max_size:
            raise EnvelopeError(f"{len(octets)} octets, limit is {self.max_size}")
        is_json = octets[:1] == b"["
        try:
            if is_json:
                envelope = json.loads(octets.decode(), parse_constant=_no_constant)
            else:
                envelope = _msgpack().unpackb(octets, ext_hook=_no_extension)
        except ImportError:
            raise EnvelopeError(
                "it is not JSON, and msgpack is not installed"
            ) from None
        except Exception as exc:  # of UTF-8, JSON, msgpack; or too deep
            raise EnvelopeError(f"it is no envelope: {exc}") from exc
        if type(envelope) is not list or len(envelope) != 4:
            raise EnvelopeError("it is no envelope")
        version, node, kind, fields = envelope
        if type(version) is not int or version != VERSION:
            raise EnvelopeError(f"version {version!r:.20}, {VERSION} is known")
        if type(node) is not str or not _NODE.fullmatch(node):
            raise EnvelopeError("no node has such an ID")
        if node == self.node:
            return None
        if type(kind) is not str or type(fields) is not dict:
            raise EnvelopeError("it is no envelope")
        checks = self._checks_of(kind)
        if is_json:
            for name, check in checks.items():
                if check.octets and name in fields:
                    fields[name] = _from_base64(name, fields[name])
        self._check(kind, checks, fields)
        for name in checks:
            fields.setdefault(name, None)
        return Envelope(node, kind, fields)

    def _checks_of(self, kind: str) -> dict[str, _Check]:
        try:
            return self._kinds[kind]
        except KeyError:
            raise EnvelopeError(f"unknown kind {kind!r:.50}") from None

    @staticmethod
    def _check(kind: str, checks: dict[str, _Check], fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            check = checks.get(name)
            if check is None:
                raise EnvelopeError(f"{kind} has no field {name!r:.50}")
            if not check.accepts(value):
                raise EnvelopeError(f"{name} of {kind} {_OTHER}")
        for name, check in checks.items():
            if not check.optional and name not in fields:
                raise EnvelopeError(f"{kind} lacks {name}")


class _Check(NamedTuple):
    """What a field may be; whether it may be missing; whether it is of octets."""

    accepts: Callable[[Any], bool]
    optional: bool
    octets: bool


def _checks(schema: Schema) -> dict[str, _Check]:
    return {name: _check_of(name, wanted) for name, wanted in schema.items()}


def _check_of(name: str, wanted: Any) -> _Check:
    choices = wanted if isinstance(wanted, tuple) else (wanted,)
    optional = None in choices
    choices = tuple(choice for choice in choices if choice is not None)
    octets = bytes in choices or [bytes] in choices
    if not choices or (octets and len(choices) > 1):
        raise ValueError(f"the schema of {name} is none: octets go by themselves")
    accepting = [_accepts(choice) for choice in choices]
    if len(accepting) == 1:
        return _Check(accepting[0], optional, octets)
    return _Check(
        lambda value: any(accepts(value) for accepts in accepting), optional, octets
    )


def _accepts(choice: Any) -> Callable[[Any], bool]:
    if choice in (object, dict, list):
        return lambda value: (
            (choice is object or type(value) is choice) and _is_plain(value)
        )
    if isinstance(choice, list):
        (item,) = choice
        accepts = _accepts(item)
        return lambda value: type(value) is list and all(map(accepts, value))
    if choice is float:
        return lambda value: type(value) in (float, int)
    if choice not in (str, int, bool, bytes):
        raise ValueError(f"a schema has no such type: {choice!r}")
    return lambda value: type(value) is choice


def _is_plain(value: Any) -> bool:
    """Return whether JSON has such a value, nested no deeper than need be."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                if not all(type(key) is str for key in item):
                    return False
                below += item.values()
            elif type(item) is list:
                below += item
            elif item is not None and type(item) not in _PLAIN:
                return False
        if not below:
            return True
        level = below
    return False


def _to_base64(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_base64(item) for item in value]
    return base64.b64encode(value).decode()


def _from_base64(name: str, value: Any) -> Any:
    if type(value) is list:
        return [_from_base64(name, item) for item in value]
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise EnvelopeError(f"{name} is not in base64") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError(f"extension type {code}")


def _msgpack() -> Any:
    try:
        import msgpack
    except ImportError as exc:
        raise ImportError("this needs msgpack: pip install 'wsfast[msgpack]'") from exc
    return msgpack
