cdef class Options:
    cdef readonly object max_size
    cdef readonly object max_fragment_size
    cdef readonly object max_fragments
    cdef readonly object mask
    cdef readonly object ledger
    cdef readonly long long max_control_rate
    cdef readonly long long queue_high
    cdef readonly long long queue_low
    cdef readonly long long queue_size
    cdef readonly long long write_high
    cdef readonly long long write_low
    cdef readonly long long max_send_buffer
    cdef readonly bint drop_overflow
    cdef readonly double ping_interval
    cdef readonly double ping_timeout
    cdef readonly double close_timeout
    cdef readonly bint auto_pong
    cdef readonly bint text_as_bytes
    cdef readonly bint validate_utf8
    cdef readonly bint binary_views
    cdef readonly bint special
