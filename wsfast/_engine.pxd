# What the other compiled modules use of the engine's primitives.

from libc.stdint cimport uint8_t

from ._csrc cimport wsf_kernels


# The kernels that were chosen at import.
cdef const wsf_kernels *kernels() noexcept nogil

# Put a fresh masking-key from the pool into out[0:4] (RFC 6455 §10.3).
cdef int fill_masking_key(uint8_t *out) except -1

# Decode octets as UTF-8; None, and no exception, if they are invalid.
cdef object decode_text(const uint8_t *data, Py_ssize_t size)
