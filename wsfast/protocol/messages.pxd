# The compiled form of messages.py: what is a C field, what is a C call.

from .lifecycle cimport Lifecycle


cdef int _OPEN
cdef int _STEP_COST


cdef class Inflation:
    cdef readonly object steps
    cdef readonly list pieces
    cdef readonly bint whole


cdef class Protocol(Lifecycle):
    cdef object _decoder
    cdef long long _inflated
    cdef readonly int dropped
    cdef unsigned char _sending_opcode
    cdef unsigned char _sending_compressed

    cdef bint _run(self) except -1
    cdef int _deliver(self, object message) except -1
    cpdef object fragment_received(self, object data, bint fin)
    cdef bint _send(self, int opcode, object payload, bint fin,
                    object compress) except -1
    cpdef bint overflown(self, int opcode) except -1

    cdef object _compressed_received(self, bytes payload)
    cdef object _inflate(self, bytes payload, bint fin, bint whole)
    cdef object _inflated_message(self, bytes data)
    cdef object _inflated_fragment(self, bytes data)
    cdef object _inflate_on(self)
    cdef object _less_frequent(self, int event)
    cdef object _send_deflated(self, int opcode, object payload, bint fin,
                               object compress)
