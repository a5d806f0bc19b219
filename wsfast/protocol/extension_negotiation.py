"""
Agreeing upon extensions that an application brings (RFC 6455 §9.1).

Where permessage-deflate is the only one, the shorter way of
`wsfast.protocol.extensions` is taken instead; `sort_extensions` tells which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..exceptions import InvalidHeaderFormat, NegotiationError
from .deflate import DeflateOptions
from .extension_base import Extension, ExtensionParameters, claims_of
from .extension_frames import Agreed, Chain, PerMessageDeflate
from .extensions import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from .headers import build_extension, is_token, parse_extension, split_elements

__all__ = ["accept_answers", "accept_offers", "offer_extensions", "sort_extensions"]

Factories = Sequence[Any]


def sort_extensions(
    extensions: Sequence[Any] | None, deflate: DeflateOptions | None, client: bool
) -> tuple[DeflateOptions | None, Factories | None]:
    """
    Tell whether there are extensions other than permessage-deflate.

    Args:
        extensions: Factories, best first; `DeflateOptions` stand for one.
        deflate: permessage-deflate, if it is not among them: it comes last then.
        client: Whether they are for a client.

    Returns:
        Options of permessage-deflate and None, if that is all there is; None and the
        factories otherwise.

    Raises:
        TypeError: Something is not a factory for this role, or permessage-deflate is
            there twice.

    """
    found: list[Any] = []
    kind: Any = (
        ClientPerMessageDeflateFactory if client else ServerPerMessageDeflateFactory
    )
    methods = (
        ("get_request_params", "process_response_params")
        if client
        else ("process_request_params",)
    )
    given: Any = None
    for extension in extensions or ():
        if isinstance(extension, DeflateOptions):
            extension = kind.of(extension)
        elif isinstance(
            extension, (ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory)
        ):
            extension = kind.of(extension.options)
        elif not all(callable(getattr(extension, name, None)) for name in methods):
            role = "client" if client else "server"
            raise TypeError(f"not an extension factory for a {role}: {extension!r}")
        elif not is_token(getattr(extension, "name", "")):
            raise TypeError(f"an extension factory without a good name: {extension!r}")
        if isinstance(extension, kind):
            if given is not None:
                raise TypeError("permessage-deflate can be configured once only")
            given = extension
        found.append(extension)
    if len(found) == (given is not None):
        return deflate if given is None else given.options, None
    if given is None and deflate is not None:
        found.append(kind.of(deflate))
    return None, found


def _element(name: str, parameters: ExtensionParameters) -> str:
    """Return an offer or an answer, safe to be sent."""
    for key, value in parameters:
        if not is_token(key) or not (value is None or is_token(value)):
            raise ValueError(f"extension {name}: bad parameter: {key}={value!r}")
    return build_extension([(name, list(parameters))])


def _agreed(accepted: Sequence[Extension]) -> Agreed:
    if not accepted:
        return None
    if len(accepted) == 1 and isinstance(accepted[0], PerMessageDeflate):
        return accepted[0].deflate
    return Chain(accepted)


# Server


def accept_offers(
    value: bytes | list[bytes], factories: Factories
) -> tuple[bytes, Agreed]:
    """
    Answer the extensions that a client offers.

    Args:
        value: Value of Sec-WebSocket-Extensions, or the values of several.
        factories: What we support.

    Returns:
        The line that goes into the response, with the CRLF before it, and what is
        agreed upon. An offer that is out of the grammar, that no factory accepts, or
        that would claim an RSV bit twice, is passed over.

    """
    if isinstance(value, list):
        value = b",".join(value)
    accepted: list[Extension] = []
    answers: list[str] = []
    for element in split_elements(value.decode("latin-1")):
        try:
            [(name, parameters)] = parse_extension(element)
        except (InvalidHeaderFormat, ValueError):
            continue
        if any(extension.name == name for extension in accepted):
            continue
        for factory in factories:
            if factory.name != name:
                continue
            try:
                answer, extension = factory.process_request_params(parameters, accepted)
                claims_of([*accepted, extension])
            except NegotiationError:
                continue
            answers.append(_element(name, answer))
            accepted.append(extension)
            break
    line = ""
    if answers:
        line = "\r\nSec-WebSocket-Extensions: " + ", ".join(answers)
    return line.encode(), _agreed(accepted)


# Client


def offer_extensions(factories: Factories) -> str:
    """
    Return the offers of a client, as the value of Sec-WebSocket-Extensions.

    Raises:
        ValueError: A factory gives a parameter that cannot be sent.

    """
    return ", ".join(
        _element(factory.name, factory.get_request_params()) for factory in factories
    )


def accept_answers(values: Sequence[str], factories: Factories) -> Agreed:
    """
    Check what a server answers to our offers.

    Args:
        values: Values of Sec-WebSocket-Extensions in the response.
        factories: What we offered.

    Returns:
        What is agreed upon.

    Raises:
        NegotiationError: The server names what was not offered, or twice; its answer
            does not fit; or two extensions claim the same RSV bit.
        InvalidHeaderFormat: It breaks the grammar.

    """
    accepted: list[Extension] = []
    for value in values:
        for name, parameters in parse_extension(value):
            if any(extension.name == name for extension in accepted):
                raise NegotiationError(f"received duplicate {name}")
            failure = NegotiationError(
                f"Unsupported extension: name = {name}, params = {parameters}"
            )
            for factory in factories:
                if factory.name != name:
                    continue
                try:
                    accepted.append(
                        factory.process_response_params(parameters, accepted)
                    )
                    break
                except NegotiationError as exc:
                    failure = exc
            else:
                raise failure
    return _agreed(accepted)
