# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""
Output in C: frames are laid down once, and leave in few, large pieces (RFC 6455 §5.2).

What :class:`FrameWriter` promises is written down once, in ``wsfast._pure_writer``;
this one does the same faster. Small payloads are copied behind their headers, so that
one system call sends many frames; a large payload of a server is not copied at all.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove

from . cimport _csrc
from ._csrc cimport WSF_FIN

from ._engine cimport fill_masking_key, header_first_octet, kernels, octets_of


cdef extern from *:
    """
    #ifdef _WIN32
    struct wsf_iovec { void *iov_base; size_t iov_len; };
    #else
    #include <sys/uio.h>
    #define wsf_iovec iovec
    #endif
    """
    struct wsf_iovec:
        void *iov_base
        size_t iov_len


cdef extern from *:
    """
    #define WSF_BYTES_HEADER offsetof(PyBytesObject, ob_sval)
    """
    const size_t BYTES_HEADER "WSF_BYTES_HEADER"


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


cdef enum:
    # A server's payload is queued by reference, not copied, from here on.
    REFERENCE_MIN = 16384
    FIRST_BUFFER = 4096
    # A buffer lives from a connection's first frame of a pass to the end of the pass. A
    # few are kept for the next connection, unless they have grown large.
    KEPT_BUFFERS = 16
    KEPT_SIZE = 32 * 1024


# None without a GIL, which guards them.
cdef extern from *:
    """
    #if defined(Py_GIL_DISABLED) || defined(WSF_NO_GIL)
    #define WSF_KEEPS 0
    #else
    #define WSF_KEEPS 1
    #endif
    """
    const bint WSF_KEEPS


cdef struct kept_buffer:
    uint8_t *octets
    size_t size


cdef kept_buffer _kept[KEPT_BUFFERS]
cdef int _n_kept = 0


cdef uint8_t *new_buffer(size_t *size) noexcept:
    """Return a buffer, NULL if there is no memory, and its ``size``."""
    global _n_kept
    if _n_kept > 0:
        _n_kept -= 1
        size[0] = _kept[_n_kept].size
        return _kept[_n_kept].octets
    size[0] = FIRST_BUFFER
    return <uint8_t *>malloc(FIRST_BUFFER)


cdef void free_buffer(uint8_t *octets, size_t size) noexcept:
    global _n_kept
    if octets is NULL:
        return
    if WSF_KEEPS and _n_kept < KEPT_BUFFERS and size <= KEPT_SIZE:
        _kept[_n_kept].octets = octets
        _kept[_n_kept].size = size
        _n_kept += 1
    else:
        free(octets)


cdef inline PyObject *owner_of(uint8_t *octets) noexcept:
    """Return the ``bytes`` that has these octets, which are its first."""
    return <PyObject *>(octets - BYTES_HEADER)


cdef inline void give_back(uint8_t *octets, size_t size) noexcept:
    """End the use of a writer's buffer, which may be the inside of a ``bytes``."""
    if size == 0 and octets is not NULL:
        Py_DECREF(<object>owner_of(octets))
    else:
        free_buffer(octets, size)


cdef inline segment *_at(segments *all, size_t i) noexcept:
    return <segment *>(all + 1) + i


cdef class FrameWriter:
    """The output of a connection; see ``wsfast._pure_writer.FrameWriter``."""

    def __init__(self, *, bint client):
        self._client = client

    def __len__(self):
        return self.queued

    cpdef object frame(self, int opcode, object payload, bint fin=True,
                       bint rsv1=False):
        """Queue one frame; see ``wsfast._pure_writer.FrameWriter.frame``."""
        cdef Py_buffer view
        cdef const char *text
        cdef Py_ssize_t size
        cdef int first

        if type(payload) is bytes:
            size = len(<bytes>payload)
            first = header_first_octet(opcode, size, fin, rsv1)
            self.put(<uint8_t>first, <const uint8_t *>PyBytes_AS_STRING(payload),
                     <size_t>size, payload)
        elif isinstance(payload, str):
            text = PyUnicode_AsUTF8AndSize(payload, &size)
            first = header_first_octet(opcode, size, fin, rsv1)
            self.put(<uint8_t>first, <const uint8_t *>text, <size_t>size, payload)
        else:
            PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
            try:
                first = header_first_octet(opcode, view.len, fin, rsv1)
                self.put(<uint8_t>first, <const uint8_t *>view.buf, <size_t>view.len,
                         None)
            finally:
                PyBuffer_Release(&view)

    cpdef object message(self, int opcode, object payload):
        """Queue a whole message; see ``wsfast._pure_writer.FrameWriter.message``."""
        cdef const char *text
        cdef Py_ssize_t size

        if type(payload) is str:
            text = PyUnicode_AsUTF8AndSize(payload, &size)
            self.put(<uint8_t>(WSF_FIN | opcode), <const uint8_t *>text, <size_t>size,
                     payload)
        elif type(payload) is bytes:
            self.put(<uint8_t>(WSF_FIN | opcode),
                     <const uint8_t *>PyBytes_AS_STRING(payload),
                     <size_t>len(<bytes>payload), payload)
        else:
            self.frame(opcode, payload)

    cdef int put(self, uint8_t first, const uint8_t *data, size_t size,
                 object owner) except -1:
        """
        Queue one frame.

        ``owner`` keeps ``data`` alive and unchanged and may be kept; ``None`` if there
        is no such object, and the octets have to be copied.
        """
        cdef uint8_t *dst
        cdef uint8_t key[4]
        cdef size_t header

        if self._client:
            fill_masking_key(key)
            dst = self._grow(14 + size)
            header = _csrc.wsf_header_encode(dst, first, size, key)
            _csrc.wsf_mask(kernels(), dst + header, data, size, key, 0)
        elif size >= REFERENCE_MIN and owner is not None:
            dst = self._grow(10)
            header = _csrc.wsf_header_encode(dst, first, size, NULL)
            self._stop += header
            self.queued += header
            self._by_reference(data, size, owner)
            return 0
        else:
            if self._stop + size + 10 <= self._cap:
                dst = self._buf + self._stop
            else:
                dst = self._grow(10 + size)
            header = _csrc.wsf_header_encode(dst, first, size, NULL)
            memcpy(dst + header, data, size)
        self._stop += header + size
        self.queued += header + size
        return 0

    cpdef object raw(self, object data):
        """Queue octets as they are."""
        cdef bytes octets = octets_of(data)
        cdef size_t size = len(octets)

        if size >= REFERENCE_MIN:
            self._by_reference(<const uint8_t *>PyBytes_AS_STRING(octets), size, octets)
        elif size == 0:
            return
        elif self._buf is NULL:  # a frame that many get is not copied for each of them
            Py_INCREF(octets)
            self._buf = <uint8_t *>PyBytes_AS_STRING(octets)
            self._stop = size
            self.queued += size
        else:
            memcpy(self._grow(size), PyBytes_AS_STRING(octets), size)
            self._stop += size
            self.queued += size

    # ---- storage ----

    cdef uint8_t *_grow(self, size_t more) except NULL:
        """Return room for ``more`` octets at the buffer's end."""
        cdef size_t cap = self._cap
        cdef uint8_t *buf
        if self._stop + more <= cap:
            return self._buf + self._stop
        if cap == 0 and self._buf is not NULL:
            self._own()
            cap = self._cap
            if self._stop + more <= cap:
                return self._buf + self._stop
        if self._start > cap // 2:  # each octet is moved once at most on average
            memmove(self._buf, self._buf + self._start, self._stop - self._start)
            self._stop -= self._start
            self._start = 0
        if self._stop + more > cap:
            if self._buf is NULL:
                self._buf = new_buffer(&self._cap)
                if self._buf is NULL:
                    raise MemoryError
                if more <= self._cap:
                    return self._buf
                cap = self._cap
            cap = max(cap * 2, self._stop + more)
            buf = <uint8_t *>realloc(self._buf, cap)
            if buf is NULL:
                raise MemoryError
            self._buf = buf
            self._cap = cap
        return self._buf + self._stop

    cdef int _own(self) except -1:
        """Copy what is inside a ``bytes`` into a buffer, so that more can follow it."""
        cdef uint8_t *octets = self._buf
        cdef size_t left = self._stop - self._start
        cdef size_t cap
        cdef uint8_t *buf = new_buffer(&cap)

        if buf is not NULL and left > cap:
            free_buffer(buf, cap)
            cap = left
            buf = <uint8_t *>malloc(cap)
        if buf is NULL:
            raise MemoryError
        memcpy(buf, octets + self._start, left)
        self._buf = buf
        self._cap = cap
        self._start = 0
        self._stop = left
        Py_DECREF(<object>owner_of(octets))
        return 0

    cdef int _by_reference(self, const uint8_t *data, size_t size,
                           object owner) except -1:
        cdef segment *s
        self._seal()
        s = self._new_segment()
        Py_INCREF(owner)
        s.base = NULL
        s.data = data
        s.size = size
        s.owner = <void *>owner
        self.queued += size
        return 0

    cdef int _seal(self) except -1:
        """Make a segment of the buffer, so that others can follow it."""
        cdef segment *s
        if self._stop == self._start:
            return 0
        s = self._new_segment()
        s.base = self._buf
        s.cap = self._cap
        s.data = self._buf + self._start
        s.size = self._stop - self._start
        s.owner = NULL
        if self._cap == 0:
            s.base = NULL
            s.owner = <void *>owner_of(self._buf)
        self._buf = NULL
        self._start = self._stop = self._cap = 0
        return 0

    cdef segment *_new_segment(self) except NULL:
        cdef segments *older = self._older
        cdef size_t room = 4 if older is NULL else older.room

        if older is NULL or older.first + older.count == room:
            if older is not NULL and older.first > room // 2:
                memmove(_at(older, 0), _at(older, older.first),
                        older.count * sizeof(segment))
                older.first = 0
            else:
                if older is not NULL:
                    room *= 2
                older = <segments *>realloc(
                    older, sizeof(segments) + room * sizeof(segment))
                if older is NULL:
                    raise MemoryError
                if self._older is NULL:
                    older.first = older.count = 0
                older.room = room
                self._older = older
        older.count += 1
        return _at(older, older.first + older.count - 1)

    cdef void _free_segment(self, segment *s) noexcept:
        free_buffer(s.base, s.cap)
        if s.owner is not NULL:
            Py_DECREF(<object>s.owner)

    # ---- output ----

    cdef const uint8_t *head(self, size_t *size) noexcept:
        """Return the first octets that are in one piece, and how many they are."""
        if self._older is not NULL:
            size[0] = _at(self._older, self._older.first).size
            return _at(self._older, self._older.first).data
        size[0] = self._stop - self._start
        return self._buf + self._start

    cdef size_t gather(self, void *iovecs, size_t most) noexcept:
        """Fill in up to ``most`` iovecs; return how many."""
        cdef wsf_iovec *iov = <wsf_iovec *>iovecs
        cdef size_t n = 0
        cdef segment *s
        while self._older is not NULL and n < most and n < self._older.count:
            s = _at(self._older, self._older.first + n)
            iov[n].iov_base = <void *>s.data
            iov[n].iov_len = s.size
            n += 1
        if n < most and self._stop != self._start:
            iov[n].iov_base = self._buf + self._start
            iov[n].iov_len = self._stop - self._start
            n += 1
        return n

    cdef void advance(self, size_t n) noexcept:
        """Forget the first ``n <= queued`` octets: they have been sent."""
        cdef segment *s
        self.queued -= n
        while self._older is not NULL:
            s = _at(self._older, self._older.first)
            if n < s.size:
                s.data += n
                s.size -= n
                return
            n -= s.size
            self._free_segment(s)
            self._older.first += 1
            self._older.count -= 1
            if self._older.count == 0:
                free(self._older)
                self._older = NULL
        self._start += n
        if self._start == self._stop:
            give_back(self._buf, self._cap)  # an idle connection has none
            self._buf = NULL
            self._start = self._stop = self._cap = 0

    def peek(self, size_t n=65536):
        """Return the first ``n`` octets, or all if there are fewer, and keep them."""
        cdef bytes out
        cdef uint8_t *dst
        cdef size_t i, take
        cdef segment *s

        n = min(n, <size_t>self.queued)
        out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>n)
        dst = <uint8_t *>PyBytes_AS_STRING(out)
        for i in range(0 if self._older is NULL else self._older.count):
            s = _at(self._older, self._older.first + i)
            take = min(n, s.size)
            memcpy(dst, s.data, take)
            dst += take
            n -= take
        if n != 0:
            memcpy(dst, self._buf + self._start, n)
        return out

    def consume(self, size_t n):
        """Forget the first ``n`` octets: they have been sent."""
        if n > <size_t>self.queued:
            raise ValueError(f"{n} octets to consume, but {self.queued} are queued")
        self.advance(n)

    def take(self):
        """Return everything that is queued, and forget it."""
        cdef bytes out = self.peek(<size_t>self.queued)
        self.advance(<size_t>self.queued)
        return out

    def __dealloc__(self):
        cdef size_t i
        if self._older is not NULL:
            for i in range(self._older.count):
                self._free_segment(_at(self._older, self._older.first + i))
            free(self._older)
        give_back(self._buf, self._cap)
