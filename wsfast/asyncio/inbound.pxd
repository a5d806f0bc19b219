# The compiled form of inbound.py.

cimport cython

from .ledger cimport Holding
from .link cimport Link
from .waiter cimport Waiter


cdef int _OPEN
cdef int _CLOSED
cdef int KEPT_SLOTS
cdef list _EMPTY

@cython.locals(text=str)
cdef Py_ssize_t _size(object item) except -1


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
    cdef object _result(self)
    cdef bint _at_end(self) except -1
    cdef object _end(self)


cdef class _Fragment:
    cdef readonly object data
    cdef readonly bint fin


cdef class Inbound(Holding):
    cdef public object listener
    cdef object _on_message
    cdef public Receiver waiting
    cdef list _queue
    cdef int _head                   # messages are at [_head, _tail) of it
    cdef int _tail
    cdef unsigned char _bound        # _on_message is to be called with the listener
    cdef unsigned char _full
    cdef unsigned char _streaming
    cdef unsigned char _partial
    cdef unsigned char _dropping
    cdef signed char _hold_passes
    cdef Receiver _receiver

    cdef object _join(self, Link link, object options, bint client, object deflate,
                      object listener)
    cpdef object receive(self, object data)
    cdef bint _serve(self) except -1
    cpdef object handler_failed(self, object exc)
    cdef Py_ssize_t _length(self) noexcept
    cdef object _take_message(self, object decode)
    cdef object _take(self)
    cdef int _put(self, object item, Py_ssize_t size) except -1
    cdef bint _is_high(self) except -1
    cpdef object begin_streaming(self, object fragments)
    cpdef object end_streaming(self, object fragments)
    cdef object _streamer(self)
    cpdef _Fragment take_fragment(self)
    cpdef object read_to_the_end(self)
    cdef bint _settle(self) except -1
    cdef bint _is_asked_to_wait(self) noexcept
    cdef object _drop_newest(self)
