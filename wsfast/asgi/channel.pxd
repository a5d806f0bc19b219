# The compiled form of channel.py.

cimport cython

from ..asyncio.connection cimport Connection
from ..asyncio.inbound cimport Inbound, Receiver
from ..asyncio.waiter cimport Later


cdef int _OPEN
cdef int _CLOSED
cdef Later DONE


cdef class Events(Receiver):
    cdef Channel _channel


cdef class ServedConnection(Connection):
    cdef dict __dict__               # whatever a listener may note here
    cdef Channel _channel

    cdef object drop_messages(self)


cdef class Channel:
    cdef public object owner
    cdef readonly ServedConnection connection
    cdef readonly object outcome
    cdef readonly unsigned long long received
    cdef readonly unsigned long long sent
    cdef Events _events
    cdef list _behind
    cdef object __weakref__

    @cython.locals(fields=dict)
    cpdef object send(self, object message)
    cpdef object receive(self)
    cdef object _next_waits(self)
