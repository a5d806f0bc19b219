# The compiled form of ledger.py.

cimport cython

from ..protocol.messages cimport Protocol
from .link cimport Link


cdef int _OPEN
cdef int _CLOSED

cdef class Holding


@cython.locals(holder=Holding)
cpdef object _of_its_peer(object holder)


cdef class Ledger:
    cdef readonly long long limit
    cdef readonly long long high
    cdef readonly long long total
    cdef readonly long long given_up
    cdef object _holders
    cdef object _held_back
    cdef bint _watching
    cdef bint _releasing
    cdef bint _less
    cdef bint _hopeless
    cdef bint _giving_up

    @cython.locals(first=Holding)
    cdef object charge(self, Holding holder, long long before, long long after)
    cdef object _let_go(self, Holding holder)
    cdef object _release_soon(self, Holding holder)
    cdef object _watch(self, Holding holder)
    @cython.locals(holder=Holding)
    cdef object _give_up(self, long long most)


cdef class Holding(Protocol):
    cdef public Link link
    cdef long long _octets
    cdef long long _charged
    cdef long long _unsent

    cdef object _hold_nothing(self)
    @cython.locals(ledger=Ledger, held="long long", before="long long")
    cdef object account(self)
    cpdef object output_left(self, long long unsent)
    cpdef object keep_counting(self)
    cpdef object stop_counting(self)
    cdef long long of_its_peer(self) except -1
    cdef bint hold_back(self) except -1
    cdef object go_on(self)
    cdef object give_up(self)
    cdef bint _is_full(self) except -1
    cdef object _pause(self)
    cdef object _resume(self)
