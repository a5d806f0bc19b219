# The reactor, for the links that are in its readiness set.

from libc.stdint cimport uint8_t, uint32_t

from .link cimport Driver, Link


cdef enum:
    # Size of the read buffer that all connections share, in octets, and so the most
    # that one of them takes out of the system per pass.
    READ_SIZE = 256 * 1024


cdef class Reactor(Driver):
    cdef int _poller
    cdef uint8_t *_buffer
    cdef double _now
    cdef list _again                # sources that have more to do than a pass allowed
    cdef list _registered           # sources in the set, each at its place
    cdef list _released             # sources that left the set during this pass
    cdef list _replied              # sources served, with something short to send
    cdef bint _serving              # events taken from the poller are at hand
    cdef bint _again_due
    cdef object _error
    cdef dict _acceptors
    cdef public double busy_poll
    cdef object tls_room            # buffers of its TLS links, from the first one on
    cdef object __weakref__

    cdef int check_thread(self) except -1
    cdef int _pass(self) except -1
    cdef int _serve(self, Source source, uint32_t events) except -1
    cdef int _send_replies(self) except -1
    cdef int _do_again(self, Source source) except -1
    cdef int _register(self, Source source, bint level) except -1
    cdef int _unregister(self, Source source) except -1


cdef class Source(Link):
    cdef int fd
    cdef int _place                 # among the sources of the reactor
    cdef unsigned char listed       # it waits in the reactor's list for the next pass

    cdef int on_ready(self, uint32_t events) except -1
