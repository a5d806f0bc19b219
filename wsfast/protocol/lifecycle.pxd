# The compiled form of lifecycle.py: what is a C field, what is a C call.

from .._frames cimport MessageParser
from .._writer cimport FrameWriter
from .options cimport Options


cdef int _OPEN
cdef int _CLOSING
cdef int _CLOSED
cdef double _CONTROL_WINDOW_S


cdef class Ending:
    cdef public object rcvd
    cdef public object sent
    cdef public object rcvd_then_sent
    cdef public object failure
    cdef public object lost_by
    cdef public object held
    cdef public double deadline


cdef class Lifecycle:
    cdef readonly Options options
    cdef readonly MessageParser parser
    cdef readonly FrameWriter writer
    cdef readonly object deflate
    cdef Ending _ending
    cdef public double now
    cdef public double latency
    cdef double _alive_at
    cdef double _ping_at
    cdef double _pinged_at
    cdef double _pong_due
    cdef object _ping_payload
    cdef object _late_pong
    cdef double _control_since
    cdef list _events
    cdef object _inflating           # a compressed message that takes several passes
    cdef unsigned int _control_count
    cdef public int budget
    # Truth values and small numbers take an octet each: there are many connections.
    cdef readonly unsigned char client
    cdef readonly unsigned char ended
    cdef public unsigned char reading_paused
    cdef public unsigned char ready_state
    cdef public unsigned char stop
    # of asyncio's connections, here since there is room
    cdef unsigned char _paused
    cdef unsigned char _pause_asked
    cdef unsigned char _was_high

    cdef object _begin(self, bint client, object options, object deflate, double now)
    cpdef object send_ping(self, object payload)
    cpdef object ping_received(self, object payload)
    cpdef object pong_received(self, object payload)
    cdef int _wrote(self) except -1
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
    cdef bint _closed_both_ways(self) noexcept
    cpdef Ending begin_ending(self)
    cdef object _close_received(self, object payload)
    cdef object _answer_close(self, object rcvd)
    cdef bint _is_held(self) noexcept
    cdef object _discard_input(self)
    cdef object _expect_end(self)
    cdef object _send_close(self, object close)
    cdef object _fail(self, object failure, object code=*, object reason=*)
    cdef object _end(self, bint at_once)
    cdef double _next_ping(self, double now) except? -1
