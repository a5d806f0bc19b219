"""
The frame protocol of wsproto 1.3, faster: what `wsfast.accelerate.wsproto` puts in.

The same frames, in the same pieces, the same errors in the same words, and the same
calls of extensions. One source, compiled where a compiler is at hand.
"""

from __future__ import annotations

import codecs
from collections.abc import Generator
from typing import Any

from wsproto import frame_protocol as theirs

from .primitives import frame_array, unmask_part, unmask_text

__all__ = ["FrameProtocol", "FrameReader"]

_UNMASKED = b"\0\0\0\0"
_CONTINUATION = theirs.Opcode.CONTINUATION
_TEXT = theirs.Opcode.TEXT
_CLOSE = theirs.Opcode.CLOSE
_OPCODES = tuple(
    theirs.Opcode(value) if value in tuple(theirs.Opcode) else None
    for value in range(16)
)
_Original = theirs.FrameProtocol
_Frame = theirs.Frame
_Failed = theirs.ParseFailed
_RsvBits = theirs.RsvBits
_CloseReason = theirs.CloseReason
_new = tuple.__new__


class FrameReader:
    """
    Octets to frames, and pieces of frames to pieces of messages.

    Args:
        client: Whether this end is the client.
        extensions: Those that are enabled.

    Attributes:
        done: Nothing is read any more: a close frame was, or something was wrong.

    """

    def __init__(self, client: bool, extensions: list[Any]) -> None:
        self.done = False
        self._client = client
        self._extensions = extensions
        #: What extensions are told is calling them.
        self._decoder = theirs.FrameDecoder(client, extensions) if extensions else None
        self._data = b""
        self._position = 0
        self._more: list[bytes] = []

        # The frame in progress, if there is one.
        self._in_frame = False
        self._fin = False
        self._control = False
        self._opcode: Any = None
        self._length = 0
        self._consumed = 0
        self._key = _UNMASKED

        # The message in progress.
        self._message_opcode: Any = None
        self._text_decoder: Any = None

    def feed(self, data: Any) -> None:
        """Take octets that were received."""
        if type(data) is not bytes:
            octets = bytearray()
            octets += data  # refuses what wsproto refuses, with the same words
            data = bytes(octets)
        if self._position == len(self._data) and not self._more:
            self._data = data
            self._position = 0
        else:
            self._more.append(data)

    def next_frame(self) -> Any:
        """
        Return the next frame, or as much of it as is there.

        Returns:
            A ``Frame`` of wsproto's; None if more octets are wanted.

        Raises:
            ParseFailed: The peer broke a rule. From then on there are no frames.

        """
        if self.done:
            return None
        try:
            if self._more:
                rest = self._data[self._position :]
                self._data = b"".join([rest, *self._more])
                self._position = 0
                self._more = []
            if not self._in_frame and not self._read_header():
                return None
            return self._read_payload()
        except BaseException:
            self.done = True
            raise

    def _read_header(self) -> bool:
        """Read a header (RFC 6455 §5.2); False if more octets are wanted."""
        data = self._data
        position = self._position
        have = len(data) - position
        if have < 2:
            return False
        first = data[position]
        second = data[position + 1]
        opcode = _OPCODES[first & 0x0F]
        if opcode is None:
            raise _Failed(f"Invalid opcode {first & 0x0F:#x}")
        control = first & 0x08 != 0
        if control and first & 0x80 == 0:
            raise _Failed("Invalid attempt to fragment control frame")
        length = second & 0x7F
        size = 2
        if control and length > 125:
            raise _Failed("Control frame with payload len > 125")
        if length == 126:
            size = 4
            if have < size:
                return False
            length = data[position + 2] << 8 | data[position + 3]
            if length < 126:
                raise _Failed("Payload length used 2 bytes when 1 would have sufficed")
        elif length == 127:
            size = 10
            if have < size:
                return False
            if data[position + 2] & 0x80 != 0:
                raise _Failed("8-byte payload length with non-zero MSB")
            length = int.from_bytes(data[position + 2 : position + 10], "big")
            if length < 0x10000:
                raise _Failed("Payload length used 8 bytes when 2 would have sufficed")
        if self._extensions:
            self._check_rsv(opcode, first, length)
        elif first & 0x70 != 0:
            raise _Failed("Reserved bit set unexpectedly")
        if second & 0x80 != 0:
            if self._client:
                raise _Failed("client received unexpected masked frame")
            if have < size + 4:
                return False
            self._key = data[position + size : position + size + 4]
            size += 4
        elif not self._client:
            raise _Failed("server received unexpected unmasked frame")
        else:
            self._key = _UNMASKED
        self._position = position + size
        self._in_frame = True
        self._fin = first & 0x80 != 0
        self._control = control
        self._opcode = opcode
        self._length = length
        self._consumed = 0
        return True

    def _check_rsv(self, opcode: Any, first: int, length: int) -> None:
        """Ask the extensions which of the reserved bits are theirs."""
        rsv = _RsvBits(
            first & 0x40 != 0,
            first & 0x20 != 0,
            first & 0x10 != 0,
        )
        used = [False, False, False]
        for extension in self._extensions:
            claimed = extension.frame_inbound_header(self._decoder, opcode, rsv, length)
            if isinstance(claimed, _CloseReason):
                raise _Failed("error in extension", claimed)
            for bit, taken in enumerate(claimed):
                if taken:
                    used[bit] = True
        for expected, found in zip(used, rsv):  # noqa: B905
            if found and not expected:
                raise _Failed("Reserved bit set unexpectedly")

    def _read_payload(self) -> Any:
        """Return what is there of a payload as a frame; None if nothing is."""
        start = self._position
        size = self._length - self._consumed
        have = len(self._data) - start
        if have < size:
            if self._control or have == 0:
                return None
            size = have
        opcode = self._opcode
        finished = self._consumed + size == self._length
        self._position = start + size
        if (
            opcode is _TEXT
            and finished
            and self._fin
            and self._consumed == 0
            and self._message_opcode is None
            and not self._extensions
        ):
            text = unmask_text(self._data, start, size, self._key)
            if text is not None:
                self._in_frame = False
                return _new(_Frame, (opcode, text, True, True))
        payload = unmask_part(self._data, start, size, self._key, self._consumed)
        self._consumed += size
        if self._extensions:
            payload = self._extend(payload, finished)
        if finished:
            self._in_frame = False
        else:
            self._opcode = _CONTINUATION
        if self._control:
            return _new(_Frame, (opcode, payload, True, True))
        return self._message_piece(opcode, payload, finished)

    def _extend(self, payload: bytes, finished: bool) -> bytes:
        """Return what the extensions make of a piece of a payload."""
        data: Any = payload
        for extension in self._extensions:
            data = extension.frame_inbound_payload_data(self._decoder, bytes(data))
            if isinstance(data, _CloseReason):
                raise _Failed("error in extension", data)
            data = bytearray(data)
        if finished:
            final = bytearray()
            for extension in self._extensions:
                rest = extension.frame_inbound_complete(self._decoder, self._fin)
                if isinstance(rest, _CloseReason):
                    raise _Failed("error in extension", rest)
                if rest is not None:
                    final += rest
            data += final
        return bytes(data)

    def _message_piece(self, opcode: Any, payload: bytes, finished: bool) -> Any:
        """Return a piece of a message, by the opcode that the message began with."""
        data: Any = payload
        if self._message_opcode is None:
            if opcode is _CONTINUATION:
                raise _Failed("unexpected CONTINUATION")
            self._message_opcode = opcode
            if opcode is _TEXT:
                self._text_decoder = codecs.getincrementaldecoder("utf-8")()
        elif opcode is not _CONTINUATION:
            raise _Failed(f"expected CONTINUATION, got {opcode!r}")
        opcode = self._message_opcode
        whole = finished and self._fin
        if self._text_decoder is not None:
            try:
                data = self._text_decoder.decode(payload, whole)
            except UnicodeDecodeError as error:
                raise _Failed(
                    str(error), _CloseReason.INVALID_FRAME_PAYLOAD_DATA
                ) from error
        if whole:
            self._message_opcode = None
            self._text_decoder = None
        return _new(_Frame, (opcode, data, finished, whole))


class FrameProtocol(_Original):  # type: ignore[misc, valid-type, unused-ignore]
    """
    A WebSocket connection's frames, in the place of wsproto's class of that name.

    Args:
        client: Whether this end is the client.
        extensions: Those that were negotiated.

    """

    def __init__(self, client: bool, extensions: list[Any]) -> None:
        self.client = client
        self.extensions = [extension for extension in extensions if extension.enabled()]
        self._reader = FrameReader(client, self.extensions)
        self._begun = False
        self._outbound_opcode: Any = None

    def receive_bytes(self, data: bytes) -> None:
        """Take octets that were received."""
        self._reader.feed(data)

    def received_frames(self) -> Generator[Any, None, None]:
        """
        Yield the frames that are there.

        Raises:
            ParseFailed: The peer broke a rule.

        """
        reader = self._reader
        if not self._begun:
            self._begun = True
            self.extensions = [each for each in self.extensions if each.enabled()]
        while True:
            frame = reader.next_frame()
            if frame is None:
                break
            if frame[0] is _CLOSE:
                reader.done = True
                frame = self._process_close(frame)
            yield frame

    def send_data(self, payload: Any = b"", fin: bool = True) -> bytearray:
        """
        Make a frame of a message.

        Args:
            payload: Text, or a buffer.
            fin: Whether it ends its message.

        Raises:
            TypeError: The payload is neither, or is not of its message's kind.

        """
        if isinstance(payload, (bytes, bytearray, memoryview)):
            opcode = theirs.Opcode.BINARY
        elif isinstance(payload, str):
            opcode = _TEXT
            payload = payload.encode("utf-8")
        else:
            raise TypeError("Must provide bytes or text")
        if self._outbound_opcode is None:
            self._outbound_opcode = opcode
        elif self._outbound_opcode is not opcode:
            raise TypeError("Data type mismatch inside message")
        else:
            opcode = _CONTINUATION
        if fin:
            self._outbound_opcode = None
        return self._serialize_frame(opcode, payload, fin)

    def _serialize_frame(
        self, opcode: Any, payload: Any = b"", fin: bool = True
    ) -> bytearray:
        """Make a frame (RFC 6455 §5.2)."""
        if self.extensions:
            made: bytearray = _Original._serialize_frame(self, opcode, payload, fin)
            return made
        if type(payload) is not bytes:
            payload = bytearray(payload)
        if opcode & 0x08 and len(payload) > 125:
            raise ValueError("payload too long for control frame")
        return frame_array(int(fin) << 7 | opcode, payload, self.client)
