# Frame parsing and framing for the other compiled modules; see _frames.pyx.

from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint64_t

from ._csrc cimport wsf_parser, wsf_piece, wsf_status, wsf_utf8


cdef class MessageParser:
    cdef wsf_parser _state
    cdef const uint8_t *_pos         # the input window: octets not yet consumed
    cdef const uint8_t *_end
    cdef object _window              # who owns the window; None if the caller does
    # storage of the message (or, while streaming, of the fragment) in progress
    cdef PyObject *_target           # bytes, or an ASCII str, with one reference: ours
    cdef uint8_t *_dst               # its octets
    cdef size_t _have
    cdef size_t _room
    cdef bint _ascii                 # all of them are ASCII, at a code point's end
    cdef bint _streamed              # fragments of the message were delivered already
    cdef bint _text_as_bytes
    cdef wsf_utf8 _utf8
    cdef uint8_t *_control_part      # a control frame that arrives in pieces
    # the event
    cdef public bint streaming
    cdef readonly bint fin
    cdef readonly bint compressed
    cdef readonly unsigned char opcode
    cdef readonly unsigned short code
    cdef readonly object payload

    cdef void set_window(self, const uint8_t *data, size_t size) noexcept
    cpdef object take_payload(self)
    cdef size_t direct_room(self, uint8_t **dst) except? 0
    cdef int direct_filled(self, size_t n) except -2
    cpdef int next(self) except -2
    cpdef object stash(self)
    cpdef object discard(self)
    cdef int _set_bytes(self, bytes data) except -1

    cdef int _whole(self, const wsf_piece *piece) except -2
    cdef int _part(self, const wsf_piece *piece) except -2
    cdef int _begin(self, bint text, size_t first) except -1
    cdef size_t _room_for(self, size_t more) noexcept
    cdef int _reserve(self, size_t more) except -1
    cdef int _unmask(self, uint8_t *dst, const uint8_t *src, size_t size,
                     uint64_t offset, bint text) noexcept
    cdef int _deliver(self, bint text, bint fin) except -2
    cdef object _finish(self, size_t size)
    cdef int _control(self, const wsf_piece *piece) except -2
    cdef int _fail(self, wsf_status status) noexcept
    cdef void _drop_target(self) noexcept
