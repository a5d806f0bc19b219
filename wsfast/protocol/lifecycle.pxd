# The compiled form of lifecycle.py: what is a C field, what is a C call.

from .._frames cimport MessageParser
from .._writer cimport FrameWriter
from .options cimport Options


cdef int _OPEN
cdef int _CLOSING
cdef int _CLOSED
cdef double _CONTROL_WINDOW_S


cdef class Lifecycle:
    cdef readonly Options options
    cdef readonly MessageParser parser
    cdef readonly FrameWriter writer
    cdef readonly object deflate
    cdef readonly bint client
    cdef readonly bint ended
    cdef public bint reading_paused
    cdef public int ready_state
    cdef public int budget
    cdef public bint stop
    cdef public object lost_by
    cdef public double now
    cdef public object close_rcvd
    cdef public object close_sent
    cdef public object rcvd_then_sent
    cdef public object failure
    cdef readonly object held
    cdef public double latency
    cdef public double close_deadline
    cdef double _alive_at
    cdef double _ping_at
    cdef double _pinged_at
    cdef double _pong_due
    cdef object _ping_payload
    cdef object _late_pong
    cdef double _control_since
    cdef long long _control_count
    cdef list _events

    cpdef object send_ping(self, object payload)
    cpdef object ping_received(self, object payload)
    cpdef object pong_received(self, object payload)
    cpdef object wrote(self)
    cpdef object must_end(self, bint at_once)
    cpdef object must_abort(self)
    cpdef object timer_changed(self, double when)
    cpdef double time(self) except? -1
    cpdef object output_moved(self)
    cpdef object receive_eof(self)
    cpdef object connection_ended(self)
    cpdef object output_flushed(self)
    cpdef object closed_error(self)
    cpdef double check_time(self, double now) except? -1

    cdef object _control_received(self, int event, object payload)
    cdef object _too_slow(self)
    cdef object _pong(self, object payload)
