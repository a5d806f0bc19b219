# The compiled form of prepared.py.

cdef class Prepared:
    cdef readonly int opcode
    cdef readonly bytes payload
    cdef readonly bytes plain
    cdef object _compress
    cdef dict _frames

    cpdef object send_to(self, object connection)
    cpdef bytes make_plain(self)
