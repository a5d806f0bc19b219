# The compiled form of _broadcast.py.

cimport cython

from .link cimport Driver
from .outbound cimport Outbound
from .prepared cimport Prepared


cdef Py_ssize_t _ANY

@cython.locals(
    everybody=list, known=Outbound, driver=Driver, checked=Driver,
    done=Py_ssize_t, count=Py_ssize_t,
)
cdef list _offer_all(object connections, Prepared prepared, Py_ssize_t most)
