"""Compression of a server whose command line has no options for it."""

from __future__ import annotations

import os

from ..protocol.deflate import DeflateOptions

__all__ = ["VARIABLE", "deflate_from_environment"]

#: The environment variable that says how to compress.
VARIABLE = "WSFAST_DEFLATE"

_NUMBERS = (
    "level",
    "mem_level",
    "strategy",
    "server_max_window_bits",
    "client_max_window_bits",
    "threshold",
)
_SWITCHES = (
    "server_no_context_takeover",
    "client_no_context_takeover",
    "require_client_max_window_bits",
)
_OFF = ("0", "off", "no", "false")
_ON = ("1", "on", "yes", "true")


def deflate_from_environment() -> DeflateOptions | None:
    """
    Return how to compress, as ``WSFAST_DEFLATE`` has it.

    It is ``off``, or a list of arguments of :class:`DeflateOptions` and their values,
    with commas or spaces between: ``level=1, server_max_window_bits=10``. What it does
    not name, and a variable that is not set, mean the defaults.

    Returns:
        None for no compression.

    Raises:
        ValueError: It is not like that, or a value is out of its range.
        ImportError: The backend that it names is not installed.

    """
    text = os.environ.get(VARIABLE, "").strip()
    if text.lower() in _OFF:
        return None
    if text.lower() in _ON:
        text = ""
    arguments: dict[str, int | bool | str] = {}
    for part in text.replace(",", " ").split():
        name, _, value = part.partition("=")
        try:
            arguments[name] = _value(name, value)
        except ValueError as exc:
            raise ValueError(f"{VARIABLE}: {part!r}: {exc}") from None
    try:
        return DeflateOptions(**arguments)  # type: ignore[arg-type]
    except ValueError as exc:
        raise ValueError(f"{VARIABLE}: {exc}") from None


def _value(name: str, value: str) -> int | bool | str:
    if name in _NUMBERS:
        try:
            return int(value)
        except ValueError:
            raise ValueError("not a number") from None
    if name in _SWITCHES:
        if value.lower() in ("", *_ON):
            return True
        if value.lower() in _OFF:
            return False
        raise ValueError("neither on nor off")
    if name == "backend":
        return value
    raise ValueError(f"not one of {', '.join((*_NUMBERS, *_SWITCHES, 'backend'))}")
