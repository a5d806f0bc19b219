# The compiled form of inbound.py.

from ..protocol.messages cimport Protocol
from .link cimport Link
from .waiter cimport Waiter


cdef int _OPEN
cdef int _CLOSED


cdef class Receiver:
    cdef Inbound _connection
    cdef Waiter _waiter
    cdef public bint busy
    cdef public bint iterating
    cdef public bint peek
    cdef public object decode

    cpdef Waiter suspend(self)
    cpdef object wake(self)
    cpdef object wake_soon(self)
    cdef object _leave(self)


cdef class _Fragment:
    cdef readonly object data
    cdef readonly bint fin


cdef class Fragments:
    cdef Inbound _connection
    cdef object _decode
    cdef object __weakref__


cdef class Inbound(Protocol):
    cdef public Link link
    cdef public object on_message
    cdef public Receiver waiting
    cdef list _queue
    cdef Py_ssize_t _head
    cdef long long _octets
    cdef bint _full
    cdef bint _paused
    cdef bint _pause_asked
    cdef object _streamer
    cdef bint _streaming
    cdef bint _partial
    cdef bint _dropping
    cdef list _parts
    cdef int _hold_passes
    cdef Receiver _receiver

    cpdef object receive(self, object data)
    cpdef bint serve(self) except -1
    cpdef object handler_failed(self, object exc)
    cpdef Py_ssize_t queue_length(self) except -1
    cpdef bint no_more_messages(self) except -1
    cpdef object take_message(self, object decode)
    cdef object _take(self)
    cdef object _put(self, object item, Py_ssize_t size)
    cdef bint _is_full(self) except -1
    cdef bint _is_high(self) except -1
    cpdef object begin_streaming(self, Fragments fragments)
    cpdef object end_streaming(self, Fragments fragments)
    cpdef _Fragment take_fragment(self)
    cpdef object read_to_the_end(self)
    cdef bint _settle(self) except -1
    cdef object _drop_newest(self)
    cdef object _pause(self)
    cdef object _resume(self)
