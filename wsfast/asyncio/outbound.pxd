# The compiled form of outbound.py.

from .inbound cimport Inbound
from .prepared cimport Prepared
from .waiter cimport Later


cdef int _OPEN
cdef int _CLOSED
cdef int _QUEUED
cdef int _SLOW
cdef int _GONE
cdef Py_ssize_t FLUSH_AT
cdef Later DONE
cdef Later DROPPED


cdef class Extras:
    cdef dict pings
    cdef list drainers
    cdef list closers
    cdef object fragmenting
    cdef object by_hand
    cdef list behind
    cdef object id
    cdef object logger
    cdef object response


cdef class Outbound(Inbound):
    cdef Extras _extras

    cdef object _may_send(self)
    cdef object _resolve_drainers(self)
    cdef object _resolve(self, list waiting)
    cdef int _put_octets(self, bytes frame) except -1
    cpdef int offer(self, Prepared prepared, Py_ssize_t limit=*) except -1
    cdef int _offer(self, Prepared prepared, Py_ssize_t limit) except -1
    cdef Extras _more(self)
    cdef object _end_by_hand(self, Extras extras)
