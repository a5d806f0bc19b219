# The compiled form of _wsproto.py: what is a C field, what is a C call.

import cython


cdef bytes _UNMASKED
cdef tuple _OPCODES


cdef class FrameReader:
    cdef public bint done
    cdef bint _client
    cdef list _extensions
    cdef object _decoder
    cdef bytes _data
    cdef Py_ssize_t _position
    cdef list _more
    cdef bint _in_frame
    cdef bint _fin
    cdef bint _control
    cdef object _opcode
    cdef unsigned long long _length
    cdef unsigned long long _consumed
    cdef bytes _key
    cdef object _message_opcode
    cdef object _text_decoder

    cpdef object feed(self, object data)
    cpdef object next_frame(self)

    @cython.locals(data=bytes, position=Py_ssize_t, have=Py_ssize_t, first=int,
                   second=int, control=bint, length="unsigned long long",
                   size=Py_ssize_t)
    cdef bint _read_header(self) except -1

    cdef object _check_rsv(self, object opcode, int first, object length)

    @cython.locals(start=Py_ssize_t, size=Py_ssize_t, have=Py_ssize_t, finished=bint)
    cdef object _read_payload(self)

    cdef bytes _extend(self, bytes payload, bint finished)
    cdef object _message_piece(self, object opcode, bytes payload, bint finished)
