# The compiled form of link.py.

cimport cython


cdef class Link


cdef class Driver:
    cdef readonly object loop
    cdef readonly list dirty
    cdef readonly object done
    cdef readonly object loop_getter
    cdef public bint in_pass
    cdef public bint direct
    cdef bint _flush_due
    cdef dict _slots
    cdef object _tick
    cdef long long _tick_slot
    cdef unsigned long _thread

    cpdef double time(self) except? -1
    cdef int check_thread(self) except -1
    cpdef int other_thread(self) except -1
    cpdef object mark_dirty(self, Link link)
    @cython.locals(links=list, link=Link, begun=Py_ssize_t)
    cpdef object flush(self)
    cpdef object enter(self)
    cpdef object leave(self)
    cpdef object step(self, object callback, object context)


cdef class Link:
    cdef readonly Driver driver
    cdef public object receiver
    cdef public object connection
    cdef public unsigned char dirty

    cpdef object wrote(self)
    cpdef object flush(self)
    cpdef Py_ssize_t unsent(self) except -1
    cpdef object pause_reading(self)
    cpdef object resume_reading(self)
    cpdef object close(self)
    cpdef object abort(self)
