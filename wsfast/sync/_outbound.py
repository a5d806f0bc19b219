"""
What a connection for threads sends: messages, whole, in fragments, or several at once.

Frames go out whole, whichever threads send them: each is made and written under locks.
``send()`` returns when the system has taken all of a message; only what is sent without
waiting is left to the keeper.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..exceptions import ConcurrencyError, ConnectionClosed
from ._traffic import Traffic

__all__ = ["Outbound"]

_OPEN = 1

SENDING = "cannot call send while another thread is already running send"


class Outbound(Traffic):
    """The sending half of a connection."""

    def _may_send(self) -> None:
        """Begin: nothing is being sent."""
        self._sending_fragments = False
        # Thread that sends a message by ``send(fin=False)``, and the opcode of that.
        self._by_hand: tuple[int, int] | None = None

    def send(
        self,
        message: Any,
        text: bool | None = None,
        *,
        compress: bool | None = None,
        fin: bool = True,
    ) -> None:
        """
        Send a message; returns when the system has taken all of it.

        Args:
            message: ``str`` for a text message, octets for a binary one, or an iterable
                of either for a fragmented one.
            text: True to send octets as text, False to send ``str`` as binary.
            compress: Whether to compress the message, if that was negotiated; None to
                leave it to the threshold.
            fin: False if more of this message follows with this thread's next call,
                which is one fragment then, as this is: ``str`` or octets, of the same
                kind.

        Raises:
            ConnectionClosed: The connection is not open.
            ConcurrencyError: Another thread is sending a fragmented message.
            TypeError: ``message`` is none of these.

        """
        if isinstance(message, str):
            opcode = 2 if text is False else 1
        elif isinstance(message, (bytes, bytearray, memoryview)):
            opcode = 1 if text is True else 2
        elif fin:
            self._send_fragments(message, text, compress)
            return
        else:
            raise TypeError("with fin=False, data must be str or bytes")
        if fin and self._by_hand is None:
            self._send_frames(((opcode, message),), True, compress)
        else:
            self._send_fragment(opcode, message, bool(fin), compress)

    def send_many(
        self, messages: Iterable[Any], *, compress: bool | None = None
    ) -> None:
        """
        Send messages in one go; returns when the system has taken all of them.

        Args:
            messages: ``str`` or octets each. If one is neither, none is sent.
            compress: As in :meth:`send`.

        Raises:
            ConnectionClosed, ConcurrencyError, TypeError: As :meth:`send`.

        """
        frames = [(_opcode_of(message), _octets_of(message)) for message in messages]
        if frames:
            self._send_frames(frames, True, compress)

    def send_nowait(
        self,
        message: Any,
        text: bool | None = None,
        *,
        compress: bool | None = None,
    ) -> bool:
        """
        Send a message if there is room for it; never wait.

        Args:
            message: ``str`` or octets.
            text: As in :meth:`send`.
            compress: As in :meth:`send`.

        Returns:
            Whether the message was queued. It was not if more than 64 KiB wait to be
            sent already, or while a fragmented message is being sent.

        Raises:
            ConnectionClosed: The connection is not open.
            TypeError: ``message`` is neither ``str`` nor octets.

        """
        opcode = _opcode_of(message, text)
        with self._mutex:
            if self.ready_state == _OPEN and (
                self._sending_fragments or self.writer.queued > self.options.write_high
            ):
                return False
            self.send_message(opcode, message, True, compress)
        self._flush()
        return True

    def offer(self, opcode: int, message: Any, max_buffered: int) -> None:
        """
        Send a message as far as that goes without waiting; the keeper sends the rest.

        Nothing is done unless the connection is open.

        Raises:
            ConcurrencyError: A fragmented message is being sent.
            OSError: More than ``max_buffered`` octets wait to be sent already.

        """
        with self._mutex:
            if self.ready_state != _OPEN:
                return
            if self._sending_fragments:
                raise ConcurrencyError("sending a fragmented message")
            if self.writer.queued > max_buffered:
                raise OSError(f"over {max_buffered} octets wait to be sent")
            self.send_message(opcode, message)
        self._flush()

    @property
    def buffered_amount(self) -> int:
        """Octets that were queued to be sent and that the system has not taken yet."""
        return len(self.writer)

    # ---- frames ----

    def _send_frames(
        self, frames: Sequence[tuple[int, Any]], fin: bool, compress: bool | None
    ) -> None:
        """
        Send data frames, each an opcode and its payload.

        Raises:
            ConnectionClosed: The connection is not open.

        """
        try:
            with self._writing:
                with self._mutex:
                    for opcode, data in frames:
                        if self._sending_fragments and opcode:
                            raise ConcurrencyError(SENDING)
                        self.send_message(opcode, data, fin, compress)
                        self._sending_fragments = not fin
                    octets = self.data_to_send()
                try:
                    self.stream.send(octets)
                except BaseException as exc:  # a part of it may be with the peer
                    self._note_loss(exc)
                    raise
        except (ConnectionClosed, OSError):
            pass
        else:
            if self.writer.queued or self._fin_due:
                self._flush()
            return
        raise self._until_closed()

    def _until_closed(self) -> ConnectionClosed:
        """Wait until the connection is closed; return the exception that says how."""
        self._wait(self._is_closed, None)
        return self.closed_error()

    def _send_fragment(
        self, opcode: int, data: Any, fin: bool, compress: bool | None
    ) -> None:
        """Send a fragment of a message that is sent by hand (RFC 6455 §5.4)."""
        me = threading.get_ident()
        if self._by_hand is None:
            self._send_frames(((opcode, data),), fin, compress)
            if not fin:
                self._by_hand = me, opcode
            return
        if self._by_hand[0] != me:
            raise ConcurrencyError(SENDING)
        if self._by_hand[1] != opcode:
            raise TypeError("fragments of a message must be of uniform types")
        if not fin:
            self._send_frames(((0, data),), False, compress)
            return
        mine, self._by_hand = self._by_hand, None
        try:
            self._send_frames(((0, data),), True, compress)
        finally:
            if self._sending_fragments:  # it could not be framed
                self._by_hand = mine

    def _send_fragments(
        self, fragments: Any, text: bool | None, compress: bool | None
    ) -> None:
        """Send a message fragment by fragment (RFC 6455 §5.4)."""
        if isinstance(fragments, Mapping):
            raise TypeError("data is a dict-like object")
        if not isinstance(fragments, Iterable):
            raise TypeError("data must be str, bytes, or iterable")
        opcode = first = 0
        were_str = False
        try:
            for data in fragments:
                is_str = isinstance(data, str)
                if is_str:
                    kind = 2 if text is False else 1
                elif isinstance(data, (bytes, bytearray, memoryview)):
                    kind = 1 if text is True else 2
                else:
                    raise TypeError("iterable must contain bytes or str")
                if first == 0:
                    opcode, were_str = kind, is_str
                elif is_str is not were_str:
                    raise TypeError("iterable must contain uniform types")
                self._send_frames(((opcode, data),), False, compress)
                first, opcode = kind, 0
            if first != 0:
                self._send_frames(((0, b""),), True, compress)
        except BaseException:
            # Half-way through a message that can't be completed.
            if first != 0 and self.ready_state == _OPEN:
                with self._mutex:
                    self.fail(1011, "error in fragmented message")
                self._flush()
            raise


def _opcode_of(message: Any, text: bool | None = None) -> int:
    """Return the opcode of a message: 1 text, 2 binary."""
    if isinstance(message, str):
        return 2 if text is False else 1
    if isinstance(message, (bytes, bytearray, memoryview)):
        return 1 if text is True else 2
    raise TypeError("data must be str or bytes")


def _octets_of(message: Any) -> Any:
    """Return what can be framed without fail: not a ``str`` that is no Unicode."""
    return message if not isinstance(message, str) else message.encode()
