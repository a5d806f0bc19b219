"""
What an extension is, for those who write one (RFC 6455 §9).

The names are those of the websockets library. A *factory* holds what an application
wants and serves any number of connections; it makes an `Extension` for each connection
that agrees upon it, which changes frames on their way out and back on their way in.
permessage-deflate is one of them, with a shorter way where it is the only one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ..exceptions import NegotiationError

__all__ = [
    "RSV1",
    "RSV2",
    "RSV3",
    "ClientExtensionFactory",
    "Extension",
    "ExtensionParameters",
    "Frame",
    "ServerExtensionFactory",
    "claims_of",
]

RSV1: Final = 0x40
RSV2: Final = 0x20
RSV3: Final = 0x10

#: Names and values, in order; the value is None where there is none.
ExtensionParameters = Sequence[tuple[str, "str | None"]]


@dataclass
class Frame:
    """
    A frame between two extensions, unmasked (RFC 6455 §5.2).

    Attributes:
        opcode: 0 to 2 or 8 to 10; 0 continues a fragmented message.
        data: Payload; text is not validated before the last extension has seen it.
        fin: Whether this frame ends its message.
        rsv1: The RSV1 bit.
        rsv2: The RSV2 bit.
        rsv3: The RSV3 bit.

    """

    opcode: int
    data: bytes
    fin: bool = True
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    @property
    def rsv(self) -> int:
        """The RSV bits, as in the first octet of a header."""
        return RSV1 * self.rsv1 | RSV2 * self.rsv2 | RSV3 * self.rsv3


class Extension:
    """
    An extension of one connection, agreed upon.

    A subclass says which RSV bits it gives a meaning; no two extensions of a connection
    may claim the same one. Every frame passes, control frames too;
    `dataclasses.replace` makes a changed one. When sending, the extensions of a
    connection act in the order of the handshake's response, when receiving in the
    opposite one.

    Attributes:
        name: Name of the extension, as in the handshake.
        rsv1: It claims the RSV1 bit.
        rsv2: It claims the RSV2 bit.
        rsv3: It claims the RSV3 bit.

    """

    name: str
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """
        Undo what the peer's extension did to a frame.

        Args:
            frame: The frame received.
            max_size: Octets that the payload may have then; None for no limit.

        Returns:
            The frame as it was, without the RSV bits that are claimed.

        Raises:
            ProtocolError: The frame breaks the extension's rules; its ``code`` is the
                close code. InvalidPayload is one of these.
            PayloadTooBig: The payload would be over ``max_size``.

        """
        return frame

    def encode(self, frame: Frame) -> Frame:
        """
        Change a frame to be sent.

        When this raises, the frame is not sent and the sender is told; no data frame
        follows, since this extension and its peer may be out of step.
        """
        return frame


class ClientExtensionFactory(Protocol):
    """How a client offers an extension, and takes the answer."""

    name: str

    def get_request_params(self) -> ExtensionParameters:
        """Return the parameters of the offer."""

    def process_response_params(
        self,
        params: ExtensionParameters,
        accepted_extensions: Sequence[Extension],
    ) -> Extension:
        """
        Take the server's answer.

        Args:
            params: Its parameters.
            accepted_extensions: Extensions that it named before this one.

        Raises:
            NegotiationError: The answer does not fit the offer.

        """


class ServerExtensionFactory(Protocol):
    """How a server answers the offer of an extension."""

    name: str

    def process_request_params(
        self,
        params: ExtensionParameters,
        accepted_extensions: Sequence[Extension],
    ) -> tuple[ExtensionParameters, Extension]:
        """
        Take an offer.

        Args:
            params: Its parameters.
            accepted_extensions: Extensions that were accepted before this one.

        Returns:
            Parameters of the answer, and the extension.

        Raises:
            NegotiationError: This offer is declined; the client's next one may do.

        """


def claims_of(extensions: Sequence[Extension]) -> int:
    """
    Return the RSV bits that extensions claim, as in the first octet of a header.

    Raises:
        NegotiationError: Two of them claim the same bit (RFC 6455 §9.1).

    """
    claims = 0
    for extension in extensions:
        for bit, name in ((RSV1, "rsv1"), (RSV2, "rsv2"), (RSV3, "rsv3")):
            if getattr(extension, name, False):
                if claims & bit:
                    raise NegotiationError(
                        f"{extension.name} claims {name.upper()}, "
                        f"which another extension has"
                    )
                claims |= bit
    return claims
