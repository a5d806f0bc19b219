# What the other compiled modules of wsfast take from the engine.

from libc.stdint cimport int64_t, uint8_t

from wsfast._csrc cimport wsf_kernels

# The kernels that the engine runs on; constant once the module is imported.
cdef const wsf_kernels *kernels() noexcept

# Write a fresh, unpredictable masking-key of 4 octets (RFC 6455 §10.3). The first of
# each thousand calls runs Python code, to fill the pool again.
cdef int fill_masking_key(uint8_t *key) except -1

# A str of octets that must be whole, valid UTF-8; None if they are not.
cdef object decode_text(const uint8_t *data, size_t len)

# The same, faster where it is known that some octet is not ASCII.
cdef object decode_wide(const uint8_t *data, size_t len)

# How many octets at the end begin a code point and do not complete it.
cdef size_t utf8_tail_size(const uint8_t *data, size_t size) noexcept

# The first octet of a header, or ValueError for a frame that no peer may accept.
cdef int header_first_octet(int opcode, int64_t length, bint fin, bint rsv1) except -1

# The octets of a contiguous buffer: itself if it is bytes, else a copy.
cdef bytes octets_of(object data)
