# TLS over buffers, for links in the reactor.

from libc.stdint cimport uint8_t


cdef enum:
    # Most ciphertext taken from the system at once. What it says, with a record that
    # was incomplete before, is to fit into the reactor's buffer.
    CIPHER_SIZE = 224 * 1024

    # Records without data, as new keys are, that a pass takes of one connection: each
    # costs far more than one with data. OpenSSL reads a record's header, then the rest.
    IDLE_RECORDS = 200
    READS_PER_RECORD = 2

    # Ciphertext that an SSLObject gets at once; one such part without data ends a pass.
    SLICE = 16 * 1024

    # Most octets that are encrypted before they are sent: four records.
    SEAL_SIZE = 64 * 1024


cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>

    /* Where OpenSSL reads from and writes to: shared by the connections of a reactor,
     * of which one is at work at a time. */
    typedef struct wsf_tls_io {
        const uint8_t *input; /* ciphertext that has come */
        size_t input_size;
        long reads; /* how often it may be read from still, before others have a turn */
        uint8_t *output; /* ciphertext to be sent */
        size_t output_size, output_room;
    } wsf_tls_io;
    """
    ctypedef struct wsf_tls_io:
        const uint8_t *input
        size_t input_size
        long reads
        uint8_t *output
        size_t output_size
        size_t output_room


cdef class Room:
    cdef wsf_tls_io io
    cdef uint8_t *cipher
    cdef uint8_t *plain


cdef class Session:
    cdef readonly object ssl_object
    cdef readonly bint direct
    cdef Room room
    cdef object _incoming
    cdef object _outgoing
    cdef bytes _rest                # ciphertext that was taken, and is not opened yet
    cdef size_t _rest_at            # where in it the next octet is
    cdef void *_ssl
    cdef void *_bio
    cdef bint _more
    cdef bint _gave                 # the slice at hand gave data
    cdef int _slices                # so many of this pass did not

    cdef void begin(self) noexcept
    cdef bint has_input(self) except -1
    cdef int feed(self, size_t n) except -1
    cdef Py_ssize_t open(self, uint8_t *dst, size_t size) except -2
    cdef int _postpone(self) except -1
    cdef int _keep_rest(self) except -1
    cdef int _next_slice(self) except -1
    cdef Py_ssize_t _open_by_object(self, uint8_t *dst, size_t size) except -2
    cdef int _fail(self, int error) except -1
    cdef int seal(self, const uint8_t *src, size_t size) except -1
    cdef bint has_output(self) except -1
    cdef bytes take(self)
