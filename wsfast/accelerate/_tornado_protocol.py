"""
A WebSocket protocol for tornado that takes whole frames and writes without a task.

tornado waits four times for each frame: for two octets, for the length, for the key,
for the payload; and it makes a task for each message that it writes. Here a frame that
is there already takes no wait at all, and a message written takes one future. What
these frames mean stays tornado's business, as does everything out of the ordinary.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ..engine import encode_frame
from ._octets import FrameTaker

if TYPE_CHECKING:
    import types

__all__ = ["make_protocol"]

#: Octets of a frame above which it is not put back into the buffer, once it is whole.
LONG = 4096

_FIN = 0x80
_RSV1 = 0x40


def make_protocol(  # noqa: C901 -- it holds a class
    websocket: types.ModuleType, base: Any
) -> type:
    """
    Return a faster form of ``tornado.websocket.WebSocketProtocol13``.

    Args:
        websocket: The module ``tornado.websocket``.
        base: The class to derive it from.

    """
    utf8 = websocket.tornado.escape.utf8
    json_encode = websocket.tornado.escape.json_encode
    stream_closed = websocket.StreamClosedError
    websocket_closed = websocket.WebSocketClosedError
    take = FrameTaker(None, bytes).take

    def settle(written: Any, done: Any) -> None:
        """Pass the outcome of a write on, once it is known."""
        if written.done():
            return
        exc = None if done.cancelled() else done.exception()
        if done.cancelled():
            written.cancel()
        elif isinstance(exc, stream_closed):
            closed = websocket_closed()
            closed.__context__ = exc
            written.set_exception(closed)
        elif exc is not None:
            written.set_exception(exc)
        else:
            written.set_result(None)

    class FastWebSocketProtocol13(base):  # type: ignore[misc]
        """`WebSocketProtocol13` with frames taken and made by wsfast."""

        _fragmented_message_buffer: Any
        _fragmented_message_opcode: Any

        async def _receive_frame(self) -> None:
            """Receive one frame, and handle the message that it ends."""
            stream = self.stream
            fragments = self._fragmented_message_buffer
            room = self.params.max_message_size - len(fragments or b"")
            while True:
                # The buffer stays the stream's: what lies in it keeps the stream from
                # looking for the end of the connection before its time.
                buffer = stream._read_buffer
                if buffer and buffer[0] & _RSV1 and not self._may_compress(buffer[0]):
                    await super()._receive_frame()
                    return
                before = len(buffer)
                taken = take(buffer, room)
                if type(taken) is tuple:
                    stream._read_buffer_size = len(buffer)
                    self._wire_bytes_in += before - len(buffer)
                    break
                if taken is None:
                    await super()._receive_frame()
                    return
                try:
                    octets = await stream.read_bytes(taken)
                except stream_closed:
                    await super()._receive_frame()
                    return
                if taken > LONG:
                    self._wire_bytes_in += taken
                    taken = take(octets, room)
                    break
                buffer = stream._read_buffer
                buffer[:0] = octets
                stream._read_buffer_size = len(buffer)
            first, data = taken
            opcode = first & 0x0F
            if self._decompressor is not None and opcode != 0:
                self._frame_compressed = bool(first & _RSV1)
            if opcode == 0:
                if fragments is None:  # nothing to continue
                    self._abort()
                    return
                fragments.extend(data)
                if first & _FIN:
                    opcode, data = self._fragmented_message_opcode, bytes(fragments)
                    self._fragmented_message_buffer = None
            elif opcode < 8:
                if fragments is not None:  # the old message has not ended
                    self._abort()
                    return
                if not first & _FIN:
                    self._fragmented_message_opcode = opcode
                    self._fragmented_message_buffer = bytearray(data)
            if first & _FIN:
                handled = self._handle_message(opcode, data)
                if handled is not None:
                    await handled

        def _may_compress(self, first: int) -> bool:
            """Tell whether a frame that begins with ``first`` may have RSV1."""
            return self._decompressor is not None and first & 0x0F != 0

        def _write_frame(
            self, fin: bool, opcode: int, data: bytes, flags: int = 0
        ) -> Any:
            if type(data) is not bytes or opcode > 2 or flags & ~_RSV1:
                return super()._write_frame(fin, opcode, data, flags)
            rsv1, mask = flags != 0, bool(self.mask_outgoing)
            frame = encode_frame(opcode, data, fin=fin, rsv1=rsv1, mask=mask)
            self._wire_bytes_out += len(frame)
            return self.stream.write(frame)

        def write_message(self, message: Any, binary: bool = False) -> Any:
            """Send a message; the future returned need not be awaited."""
            if isinstance(message, dict):
                message = json_encode(message)
            message = utf8(message)
            assert isinstance(message, bytes)
            self._message_bytes_out += len(message)
            flags = 0
            if self._compressor:
                message = self._compressor.compress(message)
                flags = _RSV1
            try:
                done = self._write_frame(True, 2 if binary else 1, message, flags)
            except stream_closed:
                raise websocket_closed() from None
            written = done.get_loop().create_future()
            done.add_done_callback(functools.partial(settle, written))
            return written

    return FastWebSocketProtocol13
