"""
Frames one by one, for connections with more than the common parser and writer know.

That is: extensions other than permessage-deflate alone, a limit on the size of
fragments, masking-keys of the application's, and binary messages as views. A connection
with none of these has nothing to do with this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .. import engine
from ..exceptions import PayloadTooBig, ProtocolError, WebSocketException
from .extension_base import RSV1, Extension, Frame, claims_of

if TYPE_CHECKING:
    from .deflate import Deflate
    from .options import Options

__all__ = [
    "Agreed",
    "Chain",
    "PerMessageDeflate",
    "extensions_of",
    "special_parser",
    "special_writer",
]

_FIN: Final = 0x80
_RSV: Final = 0x70
_CONTROL_MAX: Final = 125


class PerMessageDeflate(Extension):
    """
    Compression as an extension among others (RFC 7692).

    Args:
        deflate: What was agreed upon.

    Attributes:
        compress: Whether to compress the next message; None leaves it to the threshold.

    """

    name = "permessage-deflate"
    rsv1 = True

    def __init__(self, deflate: Deflate) -> None:
        self.deflate = deflate
        self.compress: bool | None = None
        self._compressing = False
        self._inflating = False

    def __repr__(self) -> str:
        return f"PerMessage{self.deflate!r}"

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Inflate a frame of a compressed message."""
        if frame.opcode >= 8 or (frame.opcode == 0 and frame.rsv1):
            return frame  # whose bit nobody will have undone
        if frame.opcode != 0:
            self._inflating = frame.rsv1
        if not self._inflating:
            return frame
        data = self.deflate.decode(frame.data, max_size, frame.fin)
        return replace(frame, data=data, rsv1=False)

    def encode(self, frame: Frame) -> Frame:
        """Compress a frame, if its message is to be compressed."""
        if frame.opcode >= 8:
            return frame
        if frame.opcode != 0:
            wanted, self.compress = self.compress, None
            if wanted is None:
                wanted = not frame.fin or self.deflate.wants(len(frame.data))
            self._compressing = wanted
        if not self._compressing:
            return frame
        data = self.deflate.encode(frame.data, frame.fin)
        return replace(frame, data=data, rsv1=frame.opcode != 0)


class Chain:
    """
    The extensions of one connection, in the order of the handshake's response.

    It stands where permessage-deflate stands when that is the only one.

    Args:
        extensions: What was agreed upon.

    Raises:
        NegotiationError: Two of them claim the same RSV bit.

    """

    chained = True

    def __init__(self, extensions: Sequence[Extension]) -> None:
        self.extensions = list(extensions)
        self.claims = claims_of(self.extensions)
        self._failed: Exception | None = None
        self._deflate: PerMessageDeflate | None = None
        for extension in self.extensions:
            if isinstance(extension, PerMessageDeflate):
                self._deflate = extension

    def __iter__(self) -> Iterator[Extension]:
        return iter(self.extensions)

    def __repr__(self) -> str:
        return f"Chain({self.extensions!r})"

    def wants(self, size: int) -> bool:
        """Tell whether a message of so many octets is worth compressing."""
        return self._deflate is not None and self._deflate.deflate.wants(size)

    def rest(self) -> None:
        """Free what is compressed with, if it was not used since the last call."""
        if self._deflate is not None:
            self._deflate.deflate.rest()

    def encode(self, data: bytes, final: bool = True) -> bytes:
        """Leave the payload to :meth:`encode_frame`."""
        return data

    def encode_frame(self, frame: Frame, compress: bool) -> Frame:
        """
        Have all extensions change a frame.

        Args:
            frame: The frame, as the application sent it.
            compress: Whether to compress the message that it begins.

        Raises:
            ValueError: One of them set an RSV bit that none of them claims. Whatever an
                extension raises is raised, and again for each data frame that follows.

        """
        if self._failed is not None and frame.opcode < 8:
            raise self._failed
        if self._deflate is not None and frame.opcode in (1, 2):
            self._deflate.compress = compress
        try:
            for extension in self.extensions:
                frame = extension.encode(frame)
            if frame.rsv & ~self.claims:
                raise ValueError("an extension set an RSV bit that it does not claim")
        except Exception as exc:
            self._failed = exc
            raise
        return frame

    def decode_frame(self, frame: Frame, max_size: int | None) -> Frame:
        """
        Have all extensions undo what the peer's did to a frame.

        Args:
            frame: The frame received.
            max_size: Octets that the payload may have in the end; None for no limit.

        Raises:
            ProtocolError: An RSV bit is left, for one thing.

        """
        for left in range(len(self.extensions) - 1, -1, -1):
            limit = max_size if left == 0 else _as_it_travels(max_size)
            frame = self.extensions[left].decode(frame, max_size=limit)
        if frame.rsv:
            raise _broken("rsv_not_negotiated", "reserved bit that no extension undid")
        return frame


#: What a handshake agrees upon: nothing, permessage-deflate alone, or more.
Agreed: TypeAlias = "Deflate | Chain | None"


def _as_it_travels(limit: int | None) -> int | None:
    """Return a limit with room for what extensions add to a payload."""
    return None if limit is None else limit + (limit >> 8) + 1024


def extensions_of(agreed: Agreed) -> list[Any]:
    """Return what was agreed upon as a list."""
    if agreed is None:
        return []
    return list(agreed) if isinstance(agreed, Chain) else [agreed]


def _broken(reason_code: str, text: str) -> ProtocolError:
    return ProtocolError(text, reason_code)


# ---- what is received


def special_parser(
    options: Options, client: bool, agreed: Agreed
) -> engine.MessageParser:
    """
    Return a parser for a connection that the common one does not suit.

    Args:
        options: Limits and habits.
        client: Whether we are the client.
        agreed: The negotiated `Deflate`, a `Chain`, or None.

    """
    if isinstance(agreed, Chain):
        return FrameByFrameParser(options, client, agreed)
    if options.max_fragment_size >= 0:
        extensions = [] if agreed is None else [PerMessageDeflate(agreed)]
        return FrameByFrameParser(options, client, Chain(extensions))
    kind = ViewParser if options.binary_views else engine.MessageParser
    return kind(**_settings(options, client), rsv1=agreed is not None)


def _settings(options: Options, client: bool) -> dict[str, Any]:
    return {
        "client": client,
        "max_size": None if options.max_size < 0 else options.max_size,
        "max_fragments": None if options.max_fragments < 0 else options.max_fragments,
        "text_as_bytes": options.text_as_bytes,
        "validate_utf8": options.validate_utf8,
    }


class ViewParser(engine.MessageParser):
    """A parser that delivers binary messages as views."""

    def next(self) -> int:
        """Go on to the next event."""
        event = super().next()
        if event == engine.BINARY:
            self.payload = memoryview(self.payload)
        return event


class FrameByFrameParser(engine.MessageParser):
    """
    A parser that has extensions look at each frame before it counts.

    It reads frames from its window; what the extensions make of one goes, as a frame
    again, to a parser of the common kind, which holds every rule of RFC 6455 that does
    not concern the octets on the wire.

    Args:
        options: Limits and habits.
        client: Whether we are the client.
        chain: The extensions; it may have none.

    """

    def __init__(self, options: Options, client: bool, chain: Chain) -> None:
        settings = _settings(options, client)
        super().__init__(**settings)
        settings["client"] = True  # frames without a key are what it gets
        self._messages = engine.MessageParser(**settings)
        self._chain = chain
        self._client = bool(client)
        self._views = options.binary_views
        self._limits = options.max_size, options.max_fragment_size
        self._spare = bool(chain.extensions)
        self._part = bytearray()  # of the frame that is arriving
        self._header = 2  # octets of its header, as far as is known
        self._size: int | None = None  # of its payload, once that is known
        self._in_message = False
        self._have = 0  # octets of its message before this frame
        self._failure: WebSocketException | None = None

    # ---- what the event has

    @property
    def fin(self) -> bool:
        """Whether the fragment is its message's last."""
        return self._messages.fin

    @property
    def compressed(self) -> bool:
        """False: what was compressed has been inflated."""
        return False

    @property
    def error_code(self) -> int:
        """Close code of the error."""
        return 0 if self._failure is None else self._failure.code

    @property
    def error_reason_code(self) -> str:
        """Stable name of the error."""
        return "ok" if self._failure is None else self._failure.reason_code

    @property
    def error_text(self) -> str:
        """The error in words."""
        return str(self._failure)

    def held(self) -> int:
        """Return how many octets are kept, of what has arrived and is not delivered."""
        return super().held() + len(self._part) + self._messages.held()

    # ---- events

    def next(self) -> int:
        """Go on to the next event."""
        self._messages.streaming = self.streaming
        event = engine.NEED_DATA
        try:
            while event == engine.NEED_DATA and self._failure is None:
                wanted = self._header + (self._size or 0)
                self._part += self.take_window(wanted - len(self._part))
                if len(self._part) < wanted:
                    return engine.NEED_DATA
                if self._size is None:
                    self._read_header()
                else:
                    event = self._frame()
        except WebSocketException as exc:
            self._failure = exc
        except Exception as exc:
            self._failure = ProtocolError(
                f"an extension failed: {exc!r}", "extension_failed", 1011
            )
        if self._failure is not None:
            self._part.clear()
            self.discard()
            return engine.ERROR
        return event

    def _read_header(self) -> None:
        """Read as much of the header as there is (RFC 6455 §5.2)."""
        part = self._part
        size = part[1] & 0x7F
        if self._header == 2:
            self._check_bits(part[0], part[1])
            self._header += 2 * (size == 126) + 8 * (size == 127) + 4 * (part[1] >> 7)
            if self._header > 2:
                return
        if size > 125:
            octets = part[2:4] if size == 126 else part[2:10]
            shortest = 126 if size == 126 else 65536
            size = int.from_bytes(octets, "big")
            if size >> 63:
                raise _broken("length_over_63_bits", "payload length over 63 bits")
            if size < shortest:
                raise _broken(
                    "length_not_minimal", "payload length not in its shortest form"
                )
        if not part[0] & 8:
            limit = self._limit()
            if self._spare:
                limit = _as_it_travels(limit)
            if limit is not None and size > limit:
                raise self._too_big(size)
        self._size = size

    def _check_bits(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        if opcode not in (0, 1, 2, 8, 9, 10):
            raise _broken("reserved_opcode", "reserved opcode")
        if first & _RSV & ~self._chain.claims:
            raise _broken(
                "rsv_not_negotiated",
                "reserved bit set without an extension that gives it a meaning",
            )
        if opcode >= 8:
            if not first & _FIN:
                raise _broken("control_fragmented", "fragmented control frame")
            if second & 0x7F > _CONTROL_MAX:
                raise _broken(
                    "control_too_long", "control frame with a payload over 125 octets"
                )
        elif opcode == 0 and not self._in_message:
            raise _broken(
                "unexpected_continuation",
                "continuation frame without a message to continue",
            )
        elif opcode != 0 and self._in_message:
            raise _broken(
                "expected_continuation",
                "new data frame before the end of a fragmented message",
            )
        if bool(second >> 7) is self._client:
            if self._client:
                raise _broken("frame_masked", "frame from the server is masked")
            raise _broken("frame_not_masked", "frame from the client is not masked")

    def _limit(self) -> int | None:
        """Return how long the payload of the next data frame may be; None: any."""
        message, fragment = self._limits
        if message < 0:
            return None if fragment < 0 else fragment
        left = message - self._have
        return left if fragment < 0 else min(left, fragment)

    def _too_big(self, size: int) -> ProtocolError:
        if 0 <= self._limits[1] < size:
            text, reason_code = "fragment over the size limit", "fragment_too_big"
        else:
            text, reason_code = "message over the size limit", "message_too_big"
        return ProtocolError(text, reason_code, PayloadTooBig.code)

    def _frame(self) -> int:
        """Take the frame that is complete; return the event that it makes, if any."""
        part, header = self._part, self._header
        first = part[0]
        data = bytes(memoryview(part)[header:])
        if not self._client:
            data = engine.mask(data, bytes(part[header - 4 : header]))
        self._part = bytearray()
        self._header, self._size = 2, None
        frame = Frame(
            first & 0x0F,
            data,
            bool(first & _FIN),
            *(bool(first & bit) for bit in (RSV1, RSV1 >> 1, RSV1 >> 2)),
        )
        control = frame.opcode >= 8
        limit = _CONTROL_MAX if control else self._limit()
        try:
            frame = self._chain.decode_frame(frame, limit)
        except PayloadTooBig as exc:
            raise self._too_big(-1) from exc
        if limit is not None and len(frame.data) > limit:
            raise self._too_big(len(frame.data))
        if not control:
            self._in_message = not frame.fin
            self._have = self._have + len(frame.data) if self._in_message else 0
        return self._take(frame)

    def _take(self, frame: Frame) -> int:
        """Hand a frame to the parser of messages."""
        messages = self._messages
        messages.feed(engine.encode_frame(frame.opcode, frame.data, fin=frame.fin))
        event = messages.next()
        if event == engine.ERROR:
            raise ProtocolError(
                messages.error_text, messages.error_reason_code, messages.error_code
            )
        if event != engine.NEED_DATA:
            self.opcode = messages.opcode
            self.code = messages.code
            payload = messages.take_payload()
            if self._views and event == engine.BINARY:
                payload = memoryview(payload)
            self.payload = payload
        return event


# ---- what is sent


def special_writer(
    options: Options, client: bool, agreed: Agreed
) -> engine.FrameWriter:
    """
    Return a writer for a connection that the common one may not suit.

    Args:
        options: Limits and habits.
        client: Whether we are the client.
        agreed: The negotiated `Deflate`, a `Chain`, or None.

    """
    chain = agreed if isinstance(agreed, Chain) else None
    mask = options.mask if client else None
    if chain is None and mask is None:
        return engine.FrameWriter(client=client)
    return FrameByFrameWriter(client, chain, mask)


class FrameByFrameWriter(engine.FrameWriter):
    """
    A writer that has extensions change each frame, and asks for masking-keys.

    Args:
        client: Whether we are the client.
        chain: The extensions, if there are any.
        mask: Makes the masking-keys; None for random ones.

    """

    def __init__(
        self, client: bool, chain: Chain | None, mask: Callable[[], bytes] | None
    ) -> None:
        super().__init__(client=client)
        self._masks = client
        self._chain = chain
        self._key = engine.masking_key if mask is None else mask

    def message(self, opcode: int, payload: Any) -> None:
        """Queue a whole message in one frame."""
        self.frame(opcode, payload)

    def frame(
        self, opcode: int, payload: Any, fin: bool = True, rsv1: bool = False
    ) -> None:
        """
        Queue a frame.

        Args:
            opcode: 0 to 2, or 8 to 10.
            payload: Octets or text.
            fin: Whether this frame ends its message.
            rsv1: Its message is compressed, or to be compressed by an extension.

        Raises:
            ValueError: The masking-key that was made does not have 4 octets, or no peer
                may accept the frame. What an extension raises is raised as well; a
                close frame is sent all the same.

        """
        data = payload.encode() if isinstance(payload, str) else bytes(payload)
        frame = Frame(opcode, data, fin)
        rsv = RSV1 if rsv1 else 0
        try:
            key = self._masking_key()
            if self._chain is not None:
                frame = self._chain.encode_frame(frame, rsv1)
                rsv = frame.rsv
        except Exception:
            if opcode != engine.OP_CLOSE:
                raise
            key, rsv = self._masks and engine.masking_key(), 0
        octets = bytearray(
            engine.encode_frame(frame.opcode, frame.data, fin=frame.fin, mask=key)
        )
        octets[0] |= rsv
        self.raw(octets)

    def _masking_key(self) -> bytes | bool:
        """Return the key of the next frame; False for a server, which has none."""
        if not self._masks:
            return False
        key = self._key()
        if len(key) != 4:
            raise ValueError(f"mask() must return 4 octets, got {len(key)}")
        return bytes(key)
