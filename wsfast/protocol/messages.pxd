# The compiled form of messages.py: what is a C field, what is a C call.

from .lifecycle cimport Lifecycle


cdef int _OPEN


cdef class Protocol(Lifecycle):
    cdef int _sending_opcode
    cdef bint _sending_compressed
    cdef object _decoder
    cdef long long _inflated
    cdef readonly long long dropped

    cpdef bint run(self) except -1
    cpdef object message_received(self, object message)
    cpdef object fragment_received(self, object data, bint fin)
    cpdef bint send_message(self, int opcode, object payload, bint fin=*,
                            object compress=*) except -1
    cpdef bint overflown(self, int opcode) except -1

    cdef object _less_frequent(self, int event)
    cdef object _send_deflated(self, int opcode, object payload, bint fin,
                               object compress)
