# A descriptor in the readiness set, for the links that add something to it.

from libc.stdint cimport uint8_t

from ._reactor cimport Reactor, Source
from .connection cimport Connection


cdef class ReactorLink(Source):
    cdef readonly object transport
    cdef object _opening_output     # octets to send before there is a connection
    cdef public int timer_slot
    cdef public int timer_index
    # Truth values of an octet each: there are many connections.
    cdef unsigned char _own         # the descriptor is ours to close
    cdef unsigned char _paused      # take no octets from the system
    cdef unsigned char _unread      # an edge said that there is something to read
    cdef unsigned char _hangup      # the end of the stream is behind what is unread
    cdef unsigned char _blocked     # the system takes no more output for now
    cdef unsigned char _broken      # the system takes no output any more
    cdef unsigned char _closing     # end our side once the output is flushed
    cdef unsigned char _lingering   # our side has ended; the peer's octets are dropped
    cdef unsigned char _closed
    cdef unsigned char _told_full   # the receiver knows that output waits

    cdef int _read(self) except -1
    cdef int _serve_connection(self, Connection conn) except -1
    cdef int _read_opening(self) except -1
    cdef int _no_octets(self, Py_ssize_t n) except -1
    cdef long long _left_of(self, Connection conn) except -1
    cdef int _flush(self) except -1
    cdef int _tell_receiver(self, bint full) except -1
    cdef int _flush_opening(self) except -1
    cdef int _output_failed(self, int code) except -1
    cdef bint _may_leave(self, Connection conn) except -1
    cdef int _end_output(self) except -1
    cdef int _finish(self, object exc) except -1
