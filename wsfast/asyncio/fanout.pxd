# The compiled form of fanout.py.

cimport cython

from .link cimport Driver
from .outbound cimport Outbound
from .prepared cimport Prepared


cdef int _QUEUED
cdef int _GONE

@cython.locals(
    known=Outbound, driver=Driver, checked=Driver, code=int, place=Py_ssize_t, rest=list
)
cpdef list fan_out(object members, Prepared prepared, Py_ssize_t limit=*)
