"""
A WebSocket connection after the opening handshake, without I/O (RFC 6455 §5 - §7).

:class:`Protocol` turns octets into messages and messages into octets, for either role,
and holds every rule above the frame: control frames, the closing handshake,
compression, keepalive, limits on rates. It reads no clock and touches no socket:
whoever has those calls :meth:`Protocol.receive_data` with what arrived and sends what
:meth:`Protocol.data_to_send` returns. It is the one source of this state machine in the
package, compiled where a compiler is at hand, and other libraries can build on it.
"""

from __future__ import annotations

import codecs
from typing import Any

from .. import engine
from ..exceptions import (
    InvalidPayload,
    PayloadTooBig,
    ProtocolError,
    WebSocketException,
)
from .closing import CloseCode
from .events import Event
from .extension_frames import special_writer
from .lifecycle import PASS_BUDGET, Lifecycle
from .options import Options

__all__ = ["PASS_BUDGET", "Event", "Options", "Protocol"]

_OPEN = 1

#: What a step of inflating takes of a pass's budget at least, whatever it gives.
_STEP_COST = 250


class Inflation:
    """
    A compressed message, or fragment, that takes more than one step to inflate.

    Attributes:
        steps: Gives the octets, in pieces.
        pieces: Those it has given so far.
        whole: It is a whole message, not a fragment to be delivered as such.

    """

    def __init__(self, steps: Any, whole: bool) -> None:
        self.steps = steps
        self.pieces: list[bytes] = []
        self.whole = whole


class Streaming:
    """
    What messages that are received by fragments need; made when the first one is.

    Attributes:
        decoder: Decodes the text of a compressed message, fragment by fragment.
        inflated: Octets that its fragments gave so far.
        taker: Weak reference to who is taking a message's fragments, or None.
        parts: Fragments of a message that will be delivered whole after all, or None.

    """

    def __init__(self) -> None:
        self.decoder: Any = None
        self.inflated = 0
        self.taker: Any = None
        self.parts: list[Any] | None = None


class Protocol(Lifecycle):
    """
    One end of a WebSocket connection after its opening handshake, without I/O.

    Used as it is, it records what it receives as a list of events. A subclass overrides
    the methods named ``*_received`` instead, and is called for each message as it is
    parsed, which is faster.

    Args:
        client: We are the client: frames sent are masked, frames received are not.
        options: Limits and habits; shared, not copied.
        deflate: The negotiated permessage-deflate, if any (RFC 7692); or a `Chain` of
            extensions, where others were agreed upon.
        now: Current time in seconds, of any clock that does not jump.

    Attributes:
        now: Time of the last input; set it before feeding data.
        stop: Parse no further for now.
        dropped: Messages that were not sent because the peer was too slow.
        latency: Round-trip time of the last ping that was answered, in seconds.

    """

    def __init__(
        self,
        *,
        client: bool,
        options: Options | None = None,
        deflate: Any = None,
        now: float = 0.0,
    ) -> None:
        self._begin(client, options, deflate, now)

    def _begin(
        self, client: bool, options: Options | None, deflate: Any, now: float
    ) -> None:
        Lifecycle._begin(self, client, options, deflate, now)
        self._sending_opcode = 0
        self._sending_compressed = False
        self._streamed: Streaming | None = None
        self.dropped = 0

    def negotiated(self, deflate: Any) -> None:
        """
        Take the extensions that were agreed upon, where they were not known before.

        Args:
            deflate: The negotiated permessage-deflate, a `Chain` of extensions, or
                None. No frame has been received or sent yet.

        """
        if deflate is not None:
            self.deflate = deflate
            self.parser = self.make_parser()
            if deflate.chained:
                self.writer = special_writer(self.options, self.client, deflate)

    # ---- input ----

    def receive_data(self, data: bytes) -> None:
        """
        Take octets from the peer.

        What was complete before an error in the same octets is delivered, and its
        replies are queued, before the close frame.
        """
        self.parser.feed(data)
        self.receive_more()

    def receive_more(self) -> None:
        """Go on with the octets that :attr:`stop` left, once that is unset."""
        self.budget = PASS_BUDGET
        while self._run() and not self.stop:
            self.budget = PASS_BUDGET

    def _run(self) -> bool:
        """
        Parse and deliver what the parser's window holds, within the budget.

        Returns:
            True if there is more to deliver: the budget is used up, or :attr:`stop`
            is set.

        """
        parser = self.parser
        if self.ended or self._is_held():
            self._discard_input()
            return False
        self._alive_at = self.now
        if self._inflating is not None:
            self._inflate_on()
        while self.budget > 0 and not self.stop:
            event = parser.next()
            if event == 1 or event == 2:  # TEXT, BINARY
                self.budget -= 1
                message = parser.payload
                parser.payload = None
                self._deliver(message)
            elif event == 0:  # NEED_DATA
                return False
            else:
                self.budget -= 1
                self._less_frequent(event)
        return self._inflating is not None or bool(parser.pending)

    @property
    def unfinished(self) -> bool:
        """Whether octets were taken of which something is still to be delivered."""
        return self._inflating is not None or bool(self.parser.pending)

    def _less_frequent(self, event: int) -> None:
        """Handle any event but a message that came uncompressed."""
        parser = self.parser
        if event >= 8:
            self._control_received(event, parser.take_payload())
        elif event == 3:  # COMPRESSED
            self._compressed_received(parser.take_payload())
        elif event == 4:  # FRAGMENT
            self._fragment_received(parser.take_payload(), parser.fin)
        else:
            self._bad_input(
                ProtocolError(
                    parser.error_text, parser.error_reason_code, parser.error_code
                )
            )

    def _compressed_received(self, payload: bytes) -> None:
        """Inflate a whole message (RFC 7692 §6.2)."""
        data = self._inflate(payload, True, True)
        if data is not None:
            self._inflated_message(data)

    def _inflated_message(self, data: bytes) -> None:
        if self.parser.opcode == 1:
            if not self.options.validate_utf8:
                self._deliver(data)
                return
            try:
                text = engine.decode_utf8(data)
            except UnicodeDecodeError as exc:
                self._fail_utf8(exc)
                return
            self._deliver(data if self.options.text_as_bytes else text)
        else:
            self._deliver(memoryview(data) if self.options.binary_views else data)

    def _inflate(self, payload: bytes, fin: bool, whole: bool) -> bytes | None:
        """
        Inflate the payload of a message, or of a fragment of one.

        Returns:
            What it gives; None if it is not valid, or takes more steps than one: then
            the passes to come go on with it, and with nothing else.

        """
        limit = self.options.max_size
        if limit >= 0 and self._streamed is not None:
            limit -= self._streamed.inflated
        unlimited = self.options.max_size < 0
        try:
            data = self.deflate.begin(payload, None if unlimited else limit, fin)
        except (PayloadTooBig, ProtocolError) as exc:
            self._inflating_failed(exc)
            return None
        if type(data) is bytes:
            self.budget -= max(len(data), len(payload)) >> 8
            return data
        self._inflating = Inflation(data, whole)
        self._inflate_on()
        return None

    def _inflate_on(self) -> None:
        """Go on inflating within the budget; deliver what that completes."""
        inflation = self._inflating
        try:
            while self.budget > 0 and not self.stop:
                piece = next(inflation.steps, None)
                if piece is None:
                    break
                inflation.pieces.append(piece)
                self.budget -= max(len(piece) >> 8, _STEP_COST)
            else:
                return
        except (PayloadTooBig, ProtocolError) as exc:
            self._inflating = None
            self._inflating_failed(exc)
            return
        except BaseException:
            self._inflating = None
            raise
        self._inflating = None
        data = b"".join(inflation.pieces)
        if inflation.whole:
            self._inflated_message(data)
        else:
            self._inflated_fragment(data)

    def _inflating_failed(self, exc: WebSocketException) -> None:
        # It may be kept for long, and with its frames what was received and inflated.
        exc.__traceback__ = None
        if exc.__cause__ is not None:
            exc.__cause__.__traceback__ = None
        if isinstance(exc, PayloadTooBig):
            self._bad_input(exc, int(CloseCode.MESSAGE_TOO_BIG), "message too big")
        else:
            self._bad_input(exc)

    def _fail_utf8(self, exc: UnicodeDecodeError) -> None:
        self._bad_input(
            InvalidPayload(
                f"invalid UTF-8: {exc.reason} at position {exc.start}", "invalid_utf8"
            )
        )

    def _fragment_received(self, payload: str | bytes, fin: bool) -> None:
        """Deliver a fragment of a message that is being streamed."""
        parser = self.parser
        if not parser.compressed:
            self.fragment_received(payload, fin)
            return
        data = self._inflate(payload, fin, False)  # type: ignore[arg-type]
        if data is not None:
            self._inflated_fragment(data)

    def _by_fragments(self) -> Streaming:
        if self._streamed is None:
            self._streamed = Streaming()
        return self._streamed

    def _inflated_fragment(self, data: bytes) -> None:
        parser = self.parser
        fin = parser.fin
        here = self._by_fragments()
        here.inflated = 0 if fin else here.inflated + len(data)
        if parser.opcode != 1 or not self.options.validate_utf8:
            self.fragment_received(data, fin)
            return
        if here.decoder is None:
            here.decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            text = here.decoder.decode(data, fin)
        except UnicodeDecodeError as exc:
            self._fail_utf8(exc)
            return
        if fin:
            here.decoder = None
        self.fragment_received(data if self.options.text_as_bytes else text, fin)

    # ---- what arrives; for a subclass to override ----

    def message_received(self, message: Any) -> None:
        """Take a message: ``str`` if it is text, ``bytes`` if it is binary."""
        self._record(Event("message", message))

    def _deliver(self, message: Any) -> None:
        # Overridden where no method of Python is to be looked for at each message.
        self.message_received(message)

    def fragment_received(self, data: str | bytes, fin: bool) -> None:
        """Take a fragment of a message; only while ``parser.streaming``."""
        self._record(Event("fragment", data, fin=fin))

    # ---- output ----

    def data_to_send(self) -> bytes:
        """Return the octets that are to be sent, and forget them."""
        data: bytes = self.writer.take()
        if self._late_pong is not None:
            self.output_flushed()
            data += self.writer.take()
        return data

    def send_message(
        self,
        opcode: int,
        payload: Any,
        fin: bool = True,
        compress: bool | None = None,
    ) -> bool:
        """
        Queue a data frame (RFC 6455 §5.6).

        Args:
            opcode: 1 text, 2 binary, 0 the next fragment of a message.
            payload: ``str`` or octets; text given as octets must be valid UTF-8.
            fin: Whether this is the whole message, or its last fragment.
            compress: Whether to compress the message, if that was negotiated; None to
                leave it to the threshold. Its first fragment decides.

        Returns:
            False if the message was dropped, as ``overflow`` of the options has it.

        Raises:
            ConnectionClosed: The connection is not open. SlowConsumer, one of these, if
                the peer left more than ``max_send_buffer`` octets unread.

        """
        return self._send(opcode, payload, fin, compress)

    def _send(
        self, opcode: int, payload: Any, fin: bool, compress: bool | None
    ) -> bool:
        if self.ready_state != _OPEN:
            raise self.closed_error()
        if self.writer.queued > self.options.max_send_buffer and self.overflown(opcode):
            return False
        if opcode == 0 and self._sending_opcode == 0:
            raise ValueError("there is no fragmented message to continue")
        if opcode != 0 and self._sending_opcode != 0:
            raise ValueError("a fragmented message is not finished")
        if self.deflate is None:
            if fin and opcode != 0:
                self.writer.message(opcode, payload)
            else:
                self.writer.frame(opcode, payload, fin, False)
        else:
            self._send_deflated(opcode, payload, fin, compress)
        if not fin:
            if opcode != 0:
                self._sending_opcode = opcode
        elif opcode == 0:
            self._sending_opcode = 0
        self._wrote()
        return True

    def overflown(self, opcode: int) -> bool:
        """
        Apply the policy for peers that are too slow: the output is over its limit.

        Args:
            opcode: Of the frame to be queued; a message that has begun goes on.

        Returns:
            True to drop the message.

        Raises:
            SlowConsumer: The connection has been failed.

        """
        if opcode == 0:
            return False
        if self.options.drop_overflow:
            self.dropped += 1
            return True
        self._too_slow()
        raise self.closed_error()

    def _send_deflated(
        self, opcode: int, payload: Any, fin: bool, compress: bool | None
    ) -> None:
        data = payload.encode() if isinstance(payload, str) else payload
        if opcode != 0:
            if compress is None:
                compress = not fin or self.deflate.wants(len(data))
            self._sending_compressed = compress
        if not self._sending_compressed:
            self.writer.frame(opcode, data, fin, False)
            return
        self.writer.frame(opcode, self.deflate.encode(data, fin), fin, opcode != 0)
