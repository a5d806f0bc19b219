# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""
Frames in C: octets to frames, for those who make messages of them by themselves.

What the class promises is written down once, in ``wsfast._pure_frames``.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport UINT64_MAX, uint8_t, uint64_t

from . cimport _csrc
from ._csrc cimport (
    WSF_FIN,
    WSF_NEED_MORE,
    WSF_OK,
    WSF_RSV1,
    wsf_parser,
    wsf_piece,
    wsf_status,
)
from ._engine cimport kernels

from ._frame_types import Frame, FrameError


cdef uint64_t limit_of(object value, str name) except? 0:
    if value is None:
        return UINT64_MAX
    if value < 0:
        raise ValueError(f"{name} must be >= 0 or None, got {value}")
    return value


cdef object parse_error(_csrc.wsf_status status, list frames):
    return FrameError(
        _csrc.wsf_status_text(status).decode(),
        _csrc.wsf_status_close_code(status),
        _csrc.wsf_status_reason_code(status).decode(),
        frames,
    )


cdef class FrameParser:
    """Octets to frames; see ``wsfast._pure_frames.FrameParser``."""

    cdef wsf_parser _state
    cdef bytearray _part
    cdef bint _rsv1

    def __init__(self, *, bint client, max_size=1 << 20, bint rsv1=False):
        _csrc.wsf_parser_init(&self._state, not client)
        self._state.max_size = limit_of(max_size, "max_size")
        self._state.max_wire_size = self._state.max_size
        self._state.allow_rsv1 = rsv1

    def feed(self, data):
        """Parse ``data``; see ``wsfast._pure_frames.FrameParser.feed``."""
        cdef Py_buffer view
        cdef list frames = []
        cdef const uint8_t *pos
        cdef wsf_piece piece
        cdef wsf_status status

        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            pos = <const uint8_t *>view.buf
            while True:
                if not self._state.in_frame:
                    self._state.message_size = self._state.fragments = 0
                status = _csrc.wsf_parser_next(
                    &self._state, &pos, <const uint8_t *>view.buf + view.len, &piece)
                if status == WSF_NEED_MORE:
                    return frames
                if status != WSF_OK:
                    self._part = None
                    raise parse_error(status, frames)
                self._piece(frames, &piece)
        finally:
            PyBuffer_Release(&view)

    cdef int _piece(self, list frames, const wsf_piece *piece) except -1:
        cdef bytes octets = PyBytes_FromStringAndSize(NULL, piece.len)
        cdef uint8_t first = self._state.frame.first

        _csrc.wsf_mask(kernels(), <uint8_t *>PyBytes_AS_STRING(octets), piece.data,
                       piece.len, self._state.frame.key, piece.offset)
        if piece.frame_end and piece.offset == 0:
            frames.append(Frame(first & 0x0F, octets, first & WSF_FIN != 0,
                                first & WSF_RSV1 != 0))
            return 0
        if self._part is None:
            self._part = bytearray()
        self._part += octets
        if piece.frame_end:
            frames.append(Frame(first & 0x0F, bytes(self._part), first & WSF_FIN != 0,
                                first & WSF_RSV1 != 0))
            self._part = None
        return 0
