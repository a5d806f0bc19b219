# The compiled form of connection.py.

from .inbound cimport Inbound
from .waiter cimport Later


cdef int _OPEN
cdef int _CLOSED
cdef Py_ssize_t FLUSH_AT
cdef Later DONE
cdef Later DROPPED


cdef class Connection(Inbound):
    cdef public object request
    cdef public object response
    cdef public object subprotocol
    cdef public object listener
    cdef public long long timer_slot
    cdef public long long timer_index
    cdef dict _pings
    cdef list _drainers
    cdef list _closers
    cdef list _behind
    cdef object _fragmenting
    cdef bint _was_high
    cdef object _id
    cdef object _logger

    cpdef object lost(self, object exc)
    cdef object _resolve_drainers(self)
