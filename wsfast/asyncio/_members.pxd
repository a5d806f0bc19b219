# The compiled form of _members.py.

cimport cython

from .connection cimport Connection


cdef int _OPEN


cdef class Members:
    cdef list _all

    @cython.locals(last=Connection)
    cpdef object discard(self, Connection connection)
    cpdef object add(self, Connection connection)
    @cython.locals(connection=Connection, found=set)
    cpdef set open(self)
