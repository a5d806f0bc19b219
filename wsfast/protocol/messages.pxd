# The compiled form of messages.py: what is a C field, what is a C call.

cimport cython

from .lifecycle cimport Lifecycle


cdef int _OPEN
cdef int _STEP_COST


cdef class Inflation:
    cdef readonly object steps
    cdef readonly list pieces
    cdef readonly bint whole


cdef class Streaming:
    cdef public object decoder
    cdef public long long inflated
    cdef public object taker
    cdef public list parts


cdef class Protocol(Lifecycle):
    cdef Streaming _streamed
    cdef readonly int dropped
    cdef unsigned char _sending_opcode
    cdef unsigned char _sending_compressed
    # of asyncio's connections, here since there is room
    cdef unsigned char _held_back
    cdef unsigned char _kept

    cdef bint _run(self) except -1
    cdef int _deliver(self, object message) except -1
    cpdef object fragment_received(self, object data, bint fin)
    cdef bint _send(self, int opcode, object payload, bint fin,
                    object compress) except -1
    cpdef bint overflown(self, int opcode) except -1

    cdef object _compressed_received(self, bytes payload)
    cdef object _inflate(self, bytes payload, bint fin, bint whole)
    cdef Streaming _by_fragments(self)
    cdef object _inflated_message(self, bytes data)
    @cython.locals(here=Streaming)
    cdef object _inflated_fragment(self, bytes data)
    cdef object _inflate_on(self)
    cdef object _less_frequent(self, int event)
    cdef object _send_deflated(self, int opcode, object payload, bint fin,
                               object compress)
