# The compiled form of connection.py.

from .outbound cimport Extras, Outbound
from .waiter cimport Later


cdef int _OPEN
cdef int _CLOSED
cdef Later DONE


cdef class Connection(Outbound):
    # A __dict__ for what the application notes comes with subclasses: one that is
    # declared here would be made for each object, whether it is used or not.
    cdef object __weakref__
    cdef object _request             # the octets of its head, until somebody looks
    cdef public object subprotocol
    cdef public int timer_slot
    cdef public int timer_index
    cdef public int place            # among the connections of a server

    cpdef object lost(self, object exc)
    cdef object _tell_waiting(self, Extras extras)
