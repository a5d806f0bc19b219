"""
HTTP header fields, and the grammar of those that a handshake is made of.

RFC 9110 sections 5.5 and 5.6, RFC 6455 section 9.1. What comes from a peer is read in
one pass, by methods of ``str``, never by a regular expression.
"""

from __future__ import annotations

import binascii
import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from multidict import CIMultiDict

from ..exceptions import InvalidHeaderFormat, InvalidHeaderValue

__all__ = [
    "Headers",
    "HeadersLike",
    "MultipleValuesError",
    "build_authorization_basic",
    "build_extension",
    "build_host",
    "build_subprotocol",
    "build_www_authenticate_basic",
    "is_token",
    "parse_authorization_basic",
    "parse_connection",
    "parse_extension",
    "parse_subprotocol",
    "parse_upgrade",
    "split_elements",
    "validate_subprotocols",
]

#: Parameters of an extension, in order; the value is None where there is none.
Parameters = list[tuple[str, "str | None"]]
T = TypeVar("T")

_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TCHAR: Final = frozenset(_ALPHANUMERIC + "!#$%&'*+-.^_`|~")
TCHAR_OCTETS: Final = "".join(sorted(TCHAR)).encode()

TOKEN68: Final = frozenset(_ALPHANUMERIC + "-._~+/")

#: Octets of a field's value: HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5).
VALUE_OCTETS: Final = bytes((9, *range(32, 127), *range(128, 256)))


class MultipleValuesError(LookupError):
    """A header that was asked for as one value occurs several times."""

    def __str__(self) -> str:
        return repr(self.args[0]) if len(self.args) == 1 else super().__str__()


def is_token(text: str) -> bool:
    """Tell whether a text is a token (RFC 9110 §5.6.2)."""
    return (
        text.isascii()
        and text != ""
        and not text.encode().translate(None, TCHAR_OCTETS)
    )


def check_field(name: str, value: str) -> None:
    """
    Check that a header field can be sent without becoming two.

    Raises:
        InvalidHeaderValue: The name is not a token, or the value has a control
            character or one outside of ISO-8859-1. It is a ValueError too.

    """
    if not is_token(name):
        raise InvalidHeaderValue(name, "not a header name")
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidHeaderValue(name, value) from None
    if octets.translate(None, VALUE_OCTETS):
        raise InvalidHeaderValue(name, value)


class Headers(CIMultiDict[str]):
    """
    HTTP header fields: a multidict whose names ignore case.

    ``headers[name]`` is the one value of a header; ``headers[name] = value`` adds a
    field and keeps those there are, as in the websockets library. Values with control
    characters are refused (see `check_field`).

    Raises:
        MultipleValuesError: By ``headers[name]`` and ``get``, if a header that was
            asked for as one value occurs several times; see `get_all`.

    """

    def __init__(self, arg: HeadersLike = (), /, **kwargs: str) -> None:
        super().__init__()
        self.update(arg, **kwargs)

    @classmethod
    def from_raw(cls, fields: Iterable[tuple[str, str]]) -> Headers:
        """Return headers made of fields that were checked before."""
        self: Headers = cls.__new__(cls)
        CIMultiDict.__init__(self, fields)
        return self

    def __getitem__(self, name: str) -> str:
        values = self.getall(name, None)
        if values is None:
            raise KeyError(name)
        if len(values) > 1:
            raise MultipleValuesError(name)
        return values[0]

    def get(self, name: str, default: Any = None) -> Any:
        """Return the one value of a header, or the default."""
        if name not in self:
            return default
        return self[name]

    def get_all(self, name: str) -> list[str]:
        """Return all values of a header, in order; none gives an empty list."""
        return self.getall(name, [])

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Return all fields in order, names as they were written."""
        return iter(self.items())

    def __setitem__(self, name: str, value: str) -> None:
        self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """
        Add a field.

        Raises:
            InvalidHeaderValue: The field could not be sent safely.

        """
        check_field(name, value)
        super().add(name, value)

    def set_insecure(self, name: str, value: str) -> None:
        """Add a field without checking it."""
        super().add(name, value)

    def replace(self, name: str, value: str) -> None:
        """Set a header to one value, whatever fields of this name there were."""
        check_field(name, value)
        super().__setitem__(name, value)

    def setdefault(self, name: str, default: Any = "") -> Any:
        """Return the one value of a header, after adding it where it is missing."""
        if name not in self:
            self.add(name, default)
        return self[name]

    def update(self, arg: Any = (), /, **kwargs: str) -> None:
        """Add fields to those there are."""
        for name, value in _pairs(arg):
            self.add(name, value)
        for name, value in kwargs.items():
            self.add(name, value)

    extend = update
    merge = update

    def copy(self) -> Headers:
        """Return headers with the same fields."""
        return self.from_raw(self.items())

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.from_raw, (list(self.items()),))

    def serialize(self) -> bytes:
        """
        Return the fields as octets, with the empty line that ends them.

        Raises:
            InvalidHeaderValue: A field that was added unchecked would break out of
                its line.

        """
        for name, value in self.items():
            check_field(name, value)
        return str(self).encode("latin-1")

    def __str__(self) -> str:
        lines = [f"{name}: {value}\r\n" for name, value in self.items()]
        return "".join(lines) + "\r\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.items())!r})"


HeadersLike = Headers | Mapping[str, str] | Iterable[tuple[str, str]]


def _pairs(arg: Any) -> Iterable[tuple[str, str]]:
    if isinstance(arg, Mapping):
        return cast("Iterable[tuple[str, str]]", arg.items())
    if hasattr(arg, "keys"):
        return [(name, arg[name]) for name in arg.keys()]  # noqa: SIM118
    return cast("Iterable[tuple[str, str]]", arg)


# Values that are lists of elements


class _Scanner:
    """Reads a header's value from left to right; never goes back."""

    __slots__ = ("end", "name", "pos", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.pos = 0
        self.end = len(text)

    def wrong(self, error: str, pos: int | None = None) -> InvalidHeaderFormat:
        at = self.pos if pos is None else pos
        return InvalidHeaderFormat(self.name, error, self.text, at)

    def skip_space(self) -> None:
        text, pos, end = self.text, self.pos, self.end
        while pos < end and text[pos] in " \t":
            pos += 1
        self.pos = pos

    def take(self, char: str) -> bool:
        """Pass one character and the white space behind it, if it is the next."""
        if self.pos < self.end and self.text[self.pos] == char:
            self.pos += 1
            self.skip_space()
            return True
        return False

    def token(self, what: str = "token") -> str:
        text, pos, end = self.text, self.pos, self.end
        while pos < end and text[pos] in TCHAR:
            pos += 1
        if pos == self.pos:
            raise self.wrong(f"expected {what}")
        found = text[self.pos : pos]
        self.pos = pos
        return found

    def protocol(self) -> str:
        """Read a protocol of an Upgrade header: a name, perhaps with a version."""
        found = self.token("protocol")
        version = self.text[self.pos : self.pos + 2]
        if len(version) == 2 and version[0] == "/" and version[1] in TCHAR:
            self.pos += 1
            found += "/" + self.token()
        return found

    def quoted(self) -> str:
        """Read a quoted string whose content is a token (RFC 6455 §9.1)."""
        start = self.pos
        found = []
        text, pos, end = self.text, self.pos + 1, self.end
        while pos < end and text[pos] != '"':
            if text[pos] == "\\":
                pos += 1
            if pos < end:
                found.append(text[pos])
            pos += 1
        if pos >= end:
            raise self.wrong("unterminated quoted string")
        if not found or not TCHAR.issuperset(found):
            raise self.wrong("invalid quoted header content", start)
        self.pos = pos + 1
        return "".join(found)

    def extension(self) -> tuple[str, Parameters]:
        """Read one extension with its parameters."""
        name = self.token()
        self.skip_space()
        parameters: Parameters = []
        while self.take(";"):
            key = self.token()
            value: str | None = None
            self.skip_space()
            if self.take("="):
                quoted = self.pos < self.end and self.text[self.pos] == '"'
                value = self.quoted() if quoted else self.token()
                self.skip_space()
            parameters.append((key, value))
        return name, parameters

    def elements(self, element: Callable[[_Scanner], T]) -> list[T]:
        """Read a list of elements between commas; empty ones are passed over."""
        self.skip_space()
        while self.take(","):
            pass
        found = [element(self)]
        self.skip_space()
        while self.pos < self.end:
            if not self.take(","):
                raise self.wrong("expected comma")
            while self.take(","):
                pass
            if self.pos < self.end:
                found.append(element(self))
                self.skip_space()
        return found


def _tokens(name: str, value: str) -> list[str]:
    """Read a list of tokens; the scanner only finds out where a wrong one is."""
    found = [item for item in (part.strip(" \t") for part in value.split(",")) if item]
    if found and all(map(is_token, found)):
        return found
    return _Scanner(name, value).elements(_Scanner.token)


def parse_connection(value: str) -> list[str]:
    """
    Return the options of a Connection header, as they were written.

    Raises:
        InvalidHeaderFormat: It is not a list of tokens.

    """
    return _tokens("Connection", value)


def parse_upgrade(value: str) -> list[str]:
    """
    Return the protocols of an Upgrade header, as they were written.

    Raises:
        InvalidHeaderFormat: It is not a list of protocols.

    """
    return _Scanner("Upgrade", value).elements(_Scanner.protocol)


def parse_subprotocol(value: str) -> list[str]:
    """
    Return the subprotocols of a Sec-WebSocket-Protocol header (RFC 6455 §11.3.4).

    Raises:
        InvalidHeaderFormat: It is not a list of tokens.

    """
    return _tokens("Sec-WebSocket-Protocol", value)


def parse_extension(value: str) -> list[tuple[str, Parameters]]:
    """
    Return the extensions of a Sec-WebSocket-Extensions header (RFC 6455 §9.1).

    Returns:
        For each extension, its name and its parameters, in order.

    Raises:
        InvalidHeaderFormat: It is not a list of extensions.

    """
    scanner = _Scanner("Sec-WebSocket-Extensions", value)
    return scanner.elements(_Scanner.extension)


def split_elements(value: str) -> list[str]:
    """Split a list at its commas, but not within quoted strings."""
    if '"' not in value:
        return value.split(",")
    found = []
    start = pos = 0
    quoted = False
    while pos < len(value):
        char = value[pos]
        if char == '"':
            quoted = not quoted
        elif char == "\\" and quoted:
            pos += 1
        elif char == "," and not quoted:
            found.append(value[start:pos])
            start = pos + 1
        pos += 1
    found.append(value[start:])
    return found


def build_extension(extensions: Iterable[tuple[str, Parameters]]) -> str:
    """Return a Sec-WebSocket-Extensions header; undoes `parse_extension`."""
    elements = []
    for name, parameters in extensions:
        parts = [name]
        for key, value in parameters:
            parts.append(key if value is None else f"{key}={value}")
        elements.append("; ".join(parts))
    return ", ".join(elements)


def build_subprotocol(subprotocols: Sequence[str]) -> str:
    """Return a Sec-WebSocket-Protocol header; undoes `parse_subprotocol`."""
    return ", ".join(subprotocols)


def validate_subprotocols(subprotocols: Sequence[str]) -> None:
    """
    Check subprotocols that an application gives.

    Raises:
        TypeError: They are not a list.
        ValueError: One of them is not a token, so no header can hold it.

    """
    if not isinstance(subprotocols, Sequence):
        raise TypeError("subprotocols must be a list")
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols must be a list, not a str")
    for subprotocol in subprotocols:
        if not is_token(subprotocol):
            raise ValueError(f"invalid subprotocol: {subprotocol}")


def build_host(
    host: str, port: int, secure: bool, *, always_include_port: bool = False
) -> str:
    """
    Return a Host header (RFC 9110 §7.2).

    Args:
        host: Name or address; an IPv6 address is put in brackets.
        port: Port, left out if it is the scheme's default.
        secure: Whether the scheme is wss.
        always_include_port: Write the default port too.

    """
    try:
        bracketed = ipaddress.ip_address(host.partition("%")[0]).version == 6
    except ValueError:
        bracketed = False
    if bracketed:
        host = f"[{host}]"
    if always_include_port or port != (443 if secure else 80):
        host = f"{host}:{port}"
    return host


# Basic authentication (RFC 7617)


def _quote(text: str) -> str:
    check_field("WWW-Authenticate", text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def build_www_authenticate_basic(realm: str) -> str:
    """
    Return a WWW-Authenticate header that asks for Basic credentials.

    Args:
        realm: Name of what is protected.

    Raises:
        InvalidHeaderValue: The realm has control characters.

    """
    return f'Basic realm={_quote(realm)}, charset="UTF-8"'


def parse_authorization_basic(value: str) -> tuple[str, str]:
    """
    Return the user name and the password of an Authorization header.

    Octets that are not UTF-8 become surrogates, as by ``os.fsdecode``.

    Raises:
        InvalidHeaderFormat: It breaks the grammar of the header.
        InvalidHeaderValue: It is another scheme, or not credentials.

    """
    name = "Authorization"
    scanner = _Scanner(name, value)
    scheme = scanner.token()
    if scheme.lower() != "basic":
        raise InvalidHeaderValue(name, f"unsupported scheme: {scheme}")
    start = scanner.pos
    if value[start : start + 1] != " ":
        raise scanner.wrong("expected space after scheme")
    credentials = value[start + 1 :].strip(" ")
    body = credentials.rstrip("=")
    if not body:
        raise scanner.wrong("expected token68", start + 1)
    if not TOKEN68.issuperset(body):
        raise scanner.wrong("trailing data", start + 1)
    try:
        octets = binascii.a2b_base64(credentials.encode())
    except ValueError:
        error = "expected base64-encoded credentials"
        raise InvalidHeaderValue(name, error) from None
    username, colon, password = octets.decode(errors="surrogateescape").partition(":")
    if not colon:
        raise InvalidHeaderValue(name, "expected username:password credentials")
    return username, password


def build_authorization_basic(username: str, password: str) -> str:
    """
    Return an Authorization header; undoes `parse_authorization_basic`.

    Raises:
        ValueError: The user name has a colon, which cannot be told from the
            separator.

    """
    if ":" in username:
        raise ValueError("a user name for Basic authentication must not contain ':'")
    octets = f"{username}:{password}".encode(errors="surrogateescape")
    return "Basic " + binascii.b2a_base64(octets, newline=False).decode()
