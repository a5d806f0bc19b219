# Frame parsing and framing for the other compiled modules; see _frames.pyx.

from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t, uint64_t

from ._csrc cimport wsf_parser, wsf_piece, wsf_status, wsf_utf8


# A message, frame or header in progress: what an idle connection does not have.
cdef struct wsf_progress:
    wsf_parser state
    # storage of the message (or, while streaming, of the fragment)
    PyObject *target                 # bytes, or an ASCII str, with one reference: ours
    uint8_t *dst                     # its octets
    size_t have
    size_t room
    wsf_utf8 utf8
    bint ascii                       # all of them are ASCII, at a code point's end
    bint streamed                    # fragments of the message were delivered already
    uint8_t *control_part            # a control frame that arrives in pieces


cdef class MessageParser:
    cdef const uint8_t *_pos         # the input window: octets not yet consumed
    cdef const uint8_t *_end
    cdef bytes _window               # who owns the window; None if the caller does
    cdef wsf_progress *_progress     # NULL if there is none
    cdef uint64_t _max_size
    cdef uint64_t _max_fragments
    # the event
    cdef public object payload
    cdef public bint streaming
    cdef public unsigned short code
    cdef public unsigned char opcode
    cdef unsigned char _fin
    cdef unsigned char _compressed

    cdef unsigned char _error        # sticky
    cdef unsigned char _masked       # what is expected of frames
    cdef unsigned char _rsv1
    cdef unsigned char _text_as_bytes  # 2: and it is not validated

    cdef void set_window(self, const uint8_t *data, size_t size) noexcept
    cpdef object take_payload(self)
    cpdef size_t held(self)
    cdef size_t direct_room(self, uint8_t **dst) except? 0
    cdef int direct_filled(self, size_t n) except -2
    cpdef int next(self) except -2
    cpdef object stash(self)
    cpdef object discard(self)
    cdef int _set_bytes(self, bytes data) except -1

    cdef void _begin_parser(self, wsf_parser *state) noexcept
    cdef int _advance(self) except -2
    cdef int _parse(self) except -2
    cdef int _settle(self, wsf_progress *here) except -1
    cdef int _whole(self, const wsf_piece *piece, const uint8_t *key) except -2
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
