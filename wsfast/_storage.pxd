# Storage of long messages for the parser; see _storage.pyx.

from cpython.ref cimport PyObject
from libc.stdint cimport uint8_t


cdef enum:
    # Shorter messages malloc keeps by itself.
    KEEP_MIN = 128 * 1024


# Return storage for at least `whole` octets that is there already, as a new reference,
# and say how many it has room for; NULL, and no exception, if there is none.
cdef PyObject *take_storage(bint as_str, size_t whole, size_t *room) noexcept

# Keep a message's storage, which has `room` octets, for when nobody else refers to it.
cdef void keep_storage(PyObject *storage, size_t room) noexcept

# Make the object's length `size`, leaving the rest of its storage unused.
cdef void cut_storage(PyObject *storage, size_t size) noexcept

# The octets of a bytes object or of an ASCII str.
cdef uint8_t *storage_octets(PyObject *storage) noexcept
