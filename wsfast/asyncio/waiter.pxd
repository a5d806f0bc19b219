# The compiled form of waiter.py.

from .link cimport Driver


cdef class Waiter:
    cdef Driver _driver
    cdef void *_call                 # of _slots: what asyncio calls to be called back
    cdef public bint _asyncio_future_blocking
    cdef bint _done
    cdef bint _cancelled
    cdef object _callback
    cdef object _context
    cdef object _cancel_message

    cpdef object prepare(self)
    cpdef object wake(self)
    cpdef object wake_soon(self)
    cpdef object result(self)


cdef class Later:
    cdef object _finish
    cdef object _result
    cdef object _coroutine
