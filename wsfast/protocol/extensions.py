"""
Agreeing upon permessage-deflate: offers, answers, and their checks (RFC 7692 §7.1).

RFC 6455 §9 allows any extension; this is the one in use. Where an application brings
others, it is negotiated as one among them, by `wsfast.protocol.extension_negotiation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import (
    DuplicateParameter,
    InvalidHeaderFormat,
    InvalidParameterName,
    InvalidParameterValue,
    NegotiationError,
)
from .deflate import Deflate, DeflateOptions, DeflateParameters
from .extension_base import Extension, ExtensionParameters
from .extension_frames import PerMessageDeflate
from .headers import Parameters, build_extension, parse_extension, split_elements

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "ClientPerMessageDeflateFactory",
    "ServerPerMessageDeflateFactory",
    "answer_offers",
    "build_offer",
    "check_answer",
]

NAME: Final = "permessage-deflate"
_SERVER_TAKEOVER: Final = "server_no_context_takeover"
_CLIENT_TAKEOVER: Final = "client_no_context_takeover"
_SERVER_BITS: Final = "server_max_window_bits"
_CLIENT_BITS: Final = "client_max_window_bits"
_BITS: Final = {str(bits): bits for bits in range(8, 16)}
_DEFAULT_BITS: Final = 12

#: Offers worth remembering: short ones, and not many.
_CACHED_LENGTH: Final = 128
_CACHED_OFFERS: Final = 64


def _read(parameters: Parameters, from_client: bool) -> dict[str, int | bool]:
    """
    Check the parameters of an offer or answer (RFC 7692 §7.1).

    Args:
        parameters: Names and values.
        from_client: Whether it is an offer, in which ``client_max_window_bits`` may
            stand without a value; it is True then.

    Raises:
        NegotiationError: One is unknown, occurs twice or has a wrong value.

    """
    found: dict[str, int | bool] = {}
    for name, value in parameters:
        if name in found:
            raise DuplicateParameter(name)
        if name in (_SERVER_TAKEOVER, _CLIENT_TAKEOVER):
            if value is not None:
                raise InvalidParameterValue(name, value)
            found[name] = True
        elif name in (_SERVER_BITS, _CLIENT_BITS):
            if value is None and name == _CLIENT_BITS and from_client:
                found[name] = True
            elif value is not None and value in _BITS:
                found[name] = _BITS[value]
            else:
                raise InvalidParameterValue(name, value)
        else:
            raise InvalidParameterName(name)
    return found


# Server


def answer_offers(
    value: bytes | list[bytes], options: DeflateOptions
) -> tuple[bytes, DeflateParameters] | None:
    """
    Answer the extensions that a client offers.

    Args:
        value: Value of Sec-WebSocket-Extensions, or the values of several.
        options: What we want.

    Returns:
        The line that goes into the response, with the CRLF before it, and what is
        agreed upon; None if no offer is acceptable. An offer out of the grammar is
        passed over like one that is not.

    """
    if isinstance(value, list):
        value = b",".join(value)
    cache = options._answers
    try:
        return cache[value]
    except KeyError:
        pass
    answer = _answer(value.decode("latin-1"), options)
    if len(value) <= _CACHED_LENGTH and len(cache) < _CACHED_OFFERS:
        cache[value] = answer
    return answer


def _answer(
    value: str, options: DeflateOptions
) -> tuple[bytes, DeflateParameters] | None:
    for element in split_elements(value):
        element = element.strip(" \t")
        if not element.startswith(NAME):
            continue
        try:
            for name, parameters in parse_extension(element):
                if name == NAME:
                    answer, agreed = _accept(_read(parameters, True), options)
                    line = build_extension([(NAME, answer)])
                    return b"\r\nSec-WebSocket-Extensions: " + line.encode(), agreed
        except (InvalidHeaderFormat, NegotiationError):
            continue
    return None


def _accept(
    offer: dict[str, int | bool], options: DeflateOptions
) -> tuple[Parameters, DeflateParameters]:
    """Return the parameters of the answer to an offer, and what is agreed upon."""
    answer: Parameters = []
    server_forgets = options.server_no_context_takeover or _SERVER_TAKEOVER in offer
    client_forgets = options.client_no_context_takeover or _CLIENT_TAKEOVER in offer
    if server_forgets:
        answer.append((_SERVER_TAKEOVER, None))
    if client_forgets:
        answer.append((_CLIENT_TAKEOVER, None))

    wanted = options.server_max_window_bits
    server_bits = min(offer.get(_SERVER_BITS, 15), wanted or _DEFAULT_BITS)
    if _SERVER_BITS in offer or server_bits < 15:
        answer.append((_SERVER_BITS, str(server_bits)))

    bits = options.client_max_window_bits
    client_bits = _DEFAULT_BITS if bits is None else 15 if bits is True else bits or 15
    if _CLIENT_BITS in offer:
        offered = offer[_CLIENT_BITS]
        client_bits = min(client_bits, 15 if offered is True else offered)
        if client_bits < 15 or offered is not True:
            answer.append((_CLIENT_BITS, str(client_bits)))
    elif options.require_client_max_window_bits:
        raise NegotiationError(f"required {_CLIENT_BITS}")
    else:
        client_bits = 15  # it cannot be asked of a client that does not know it
    return answer, DeflateParameters(
        server_forgets, client_forgets, server_bits, client_bits
    )


# Client


def build_offer(options: DeflateOptions) -> str:
    """
    Return the offer of a client.

    Args:
        options: What we want.

    Returns:
        Value of Sec-WebSocket-Extensions.

    """
    return build_extension([(NAME, _offer(options))])


def _offer(options: DeflateOptions) -> Parameters:
    offer: Parameters = []
    if options.server_no_context_takeover:
        offer.append((_SERVER_TAKEOVER, None))
    if options.client_no_context_takeover:
        offer.append((_CLIENT_TAKEOVER, None))
    if options.server_max_window_bits is not None:
        offer.append((_SERVER_BITS, str(options.server_max_window_bits)))
    bits = options.client_max_window_bits
    if bits is None or bits is True:
        offer.append((_CLIENT_BITS, None))
    elif bits is not False:
        offer.append((_CLIENT_BITS, str(bits)))
    return offer


def check_answer(
    values: Sequence[str], options: DeflateOptions | None
) -> Deflate | None:
    """
    Check what a server answers to our offer.

    Args:
        values: Values of Sec-WebSocket-Extensions in the response.
        options: What we offered, None if nothing.

    Returns:
        The compression agreed upon, None if the server wants none.

    Raises:
        NegotiationError: The answer does not fit the offer.
        InvalidHeaderFormat: It breaks the grammar.

    """
    if not values:
        return None
    if options is None:
        raise NegotiationError("no extensions supported")
    deflate: Deflate | None = None
    for value in values:
        for name, parameters in parse_extension(value):
            if name != NAME:
                raise NegotiationError(
                    f"Unsupported extension: name = {name}, params = {parameters}"
                )
            if deflate is not None:
                raise NegotiationError(f"received duplicate {NAME}")
            answer = _read(parameters, False)
            deflate = Deflate(_agree(answer, options), options)
    return deflate


def _agree(answer: dict[str, int | bool], options: DeflateOptions) -> DeflateParameters:
    server_forgets = _SERVER_TAKEOVER in answer
    if options.server_no_context_takeover and not server_forgets:
        raise NegotiationError(f"expected {_SERVER_TAKEOVER}")

    server_bits = answer.get(_SERVER_BITS)
    if options.server_max_window_bits is not None:
        if server_bits is None:
            raise NegotiationError(f"expected {_SERVER_BITS}")
        if server_bits > options.server_max_window_bits:
            raise NegotiationError(f"unsupported {_SERVER_BITS}: {server_bits}")

    wanted = options.client_max_window_bits
    offered = 15 if wanted is None or wanted is True else wanted
    client_bits = answer.get(_CLIENT_BITS)
    if client_bits is None:
        client_bits = offered or 15
    elif offered is False:
        raise NegotiationError(f"unexpected {_CLIENT_BITS}")
    elif client_bits > offered:
        raise NegotiationError(f"unsupported {_CLIENT_BITS}: {client_bits}")

    return DeflateParameters(
        options.client_no_context_takeover or _CLIENT_TAKEOVER in answer,
        server_forgets,
        client_bits,
        server_bits or 15,
    )


# As the websockets library has it


class _Factory:
    """A set of parameters that becomes `DeflateOptions`."""

    name = NAME

    def __init__(self, compress_settings: dict[str, Any] | None, **wanted: Any) -> None:
        settings = dict(compress_settings or {})
        if "wbits" in settings:
            raise ValueError("compress_settings must not include wbits")
        level = settings.pop("level", -1)
        self.options = DeflateOptions(
            level=None if level == -1 else level,
            mem_level=settings.pop("memLevel", 8),
            strategy=settings.pop("strategy", 0),
            threshold=0,
            **wanted,
        )
        if settings:
            raise TypeError(f"unknown compress_settings: {', '.join(settings)}")

    @classmethod
    def of(cls, options: DeflateOptions) -> Self:
        """Return the factory that stands for options."""
        self = cls.__new__(cls)
        self.options = options
        return self


def _refuse_duplicate(accepted: Sequence[Extension]) -> None:
    if any(extension.name == NAME for extension in accepted):
        raise NegotiationError(f"received duplicate {NAME}")


class ServerPerMessageDeflateFactory(_Factory):
    """
    Parameters of compression for a server, as in the websockets library.

    `DeflateOptions` is the better way to say the same; here None for a window means
    15 bits.
    """

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | None = None,
        compress_settings: dict[str, Any] | None = None,
        require_client_max_window_bits: bool = False,
    ) -> None:
        if client_max_window_bits is None and require_client_max_window_bits:
            raise ValueError(
                "require_client_max_window_bits is enabled, "
                "but client_max_window_bits isn't configured"
            )
        super().__init__(
            compress_settings,
            server_no_context_takeover=server_no_context_takeover,
            client_no_context_takeover=client_no_context_takeover,
            server_max_window_bits=server_max_window_bits or 15,
            client_max_window_bits=client_max_window_bits or 15,
            require_client_max_window_bits=require_client_max_window_bits,
        )

    def process_request_params(
        self, params: ExtensionParameters, accepted_extensions: Sequence[Extension]
    ) -> tuple[ExtensionParameters, Extension]:
        """Take an offer; see `ServerExtensionFactory`."""
        _refuse_duplicate(accepted_extensions)
        answer, agreed = _accept(_read(list(params), True), self.options)
        return answer, PerMessageDeflate(Deflate(agreed, self.options))


class ClientPerMessageDeflateFactory(_Factory):
    """
    Parameters of compression for a client, as in the websockets library.

    `DeflateOptions` is the better way to say the same; here None for a window means
    that the parameter is not sent.
    """

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | bool | None = True,
        compress_settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            compress_settings,
            server_no_context_takeover=server_no_context_takeover,
            client_no_context_takeover=client_no_context_takeover,
            server_max_window_bits=server_max_window_bits,
            client_max_window_bits=client_max_window_bits or False,
        )

    def get_request_params(self) -> ExtensionParameters:
        """Return the parameters of the offer."""
        return _offer(self.options)

    def process_response_params(
        self, params: ExtensionParameters, accepted_extensions: Sequence[Extension]
    ) -> Extension:
        """Take the answer; see `ClientExtensionFactory`."""
        _refuse_duplicate(accepted_extensions)
        agreed = _agree(_read(list(params), False), self.options)
        return PerMessageDeflate(Deflate(agreed, self.options))
