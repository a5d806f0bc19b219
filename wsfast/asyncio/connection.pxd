# The compiled form of connection.py.

from .inbound cimport Inbound
from .waiter cimport Later


cdef int _OPEN
cdef int _CLOSED
cdef Py_ssize_t FLUSH_AT
cdef Later DONE
cdef Later DROPPED


cdef class Extras:
    cdef dict pings
    cdef list drainers
    cdef list closers
    cdef object fragmenting
    cdef list behind
    cdef object id
    cdef object logger
    cdef object response


cdef class Connection(Inbound):
    cdef dict __dict__               # whatever the application may note here
    cdef object __weakref__
    cdef object _request             # the octets of its head, until somebody looks
    cdef public object subprotocol
    cdef Extras _extras
    cdef public int timer_slot
    cdef public int timer_index
    cdef public int place            # among the connections of a server
    cdef unsigned char _was_high

    cpdef object lost(self, object exc)
    cdef object _resolve_drainers(self)
    cdef Extras _more(self)
    cdef object _tell_waiting(self, Extras extras)
