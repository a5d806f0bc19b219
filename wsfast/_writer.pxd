# The output queue for the other compiled modules; see _writer.pyx.

from libc.stdint cimport uint8_t


cdef struct segment:
    uint8_t *base                    # a buffer to give back, if there is no owner
    size_t cap                       # its size
    const uint8_t *data
    size_t size
    void *owner                      # a reference, or NULL


# Segments in a ring buffer's stead: [first, first + count) of those that follow it.
cdef struct segments:
    size_t first
    size_t count
    size_t room


cdef class FrameWriter:
    cdef uint8_t *_buf               # octets that were copied in: [_start, _stop)
    cdef size_t _start
    cdef size_t _stop
    cdef size_t _cap                 # 0 if they are those of a bytes object, not copied
    cdef segments *_older            # output before that; NULL if there is none
    cdef readonly Py_ssize_t queued
    cdef unsigned char _client

    cpdef object frame(self, int opcode, object payload, bint fin=*, bint rsv1=*)
    cpdef object message(self, int opcode, object payload)
    cpdef object raw(self, object data)
    cdef int put(self, uint8_t first, const uint8_t *data, size_t size,
                 object owner) except -1
    cdef const uint8_t *head(self, size_t *size) noexcept
    cdef void advance(self, size_t n) noexcept
    cdef size_t gather(self, void *iovecs, size_t most) noexcept

    cdef uint8_t *_grow(self, size_t more) except NULL
    cdef int _own(self) except -1
    cdef int _by_reference(self, const uint8_t *data, size_t size,
                           object owner) except -1
    cdef int _seal(self) except -1
    cdef segment *_new_segment(self) except NULL
    cdef void _free_segment(self, segment *s) noexcept
