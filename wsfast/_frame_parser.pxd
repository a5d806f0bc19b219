# What parsers have in common; see _frame_parser.pyx.

from libc.stdint cimport uint64_t

from ._csrc cimport wsf_status


# A limit given as a number or None; the name is for the error.
cdef uint64_t limit_of(object value, str name) except? 0

# The exception for what a parser has found, after these frames or messages.
cdef object parse_error(wsf_status status, list found)
